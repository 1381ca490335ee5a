package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"effnet/train"
)

func newRecipesCmd() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "recipes [NAME|FILE]",
		Short: "List the ways to train that effnet knows by name, or print one",
		Long: `Recipes lists the named recipes. Given a name it prints that recipe's file, which
says what every value means and where it comes from: a start for one's own, which
'effnet train --recipe FILE' takes. Given a file it checks it. --json prints every
value, those of the base included.`,
		Example: `  effnet recipes efficientnet > mine.yaml
  effnet recipes mine.yaml --json`,
		Args: atMostOne("one recipe"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return train.RecipeNames(), cobra.ShellCompDirectiveDefault
		},
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 && asJSON:
				return recipesJSON(c)
			case len(args) == 0:
				return recipesText(c)
			}
			return printRecipe(c, args[0], asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// printRecipe prints a recipe as it is written, or all values of it.
func printRecipe(c *cobra.Command, name string, asJSON bool) error {
	f := recipeFlags{recipe: name}
	r, err := f.named()
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(c.OutOrStdout(), r)
	}
	src, err := train.RecipeText(name)
	if err != nil { // a file
		if src, err = os.ReadFile(name); err != nil {
			return err
		}
	}
	_, err = c.OutOrStdout().Write(src)
	return err
}

func recipesJSON(c *cobra.Command) error {
	var list []train.Recipe
	for _, name := range train.RecipeNames() {
		r, err := train.LookupRecipe(name)
		if err != nil {
			return err
		}
		list = append(list, r)
	}
	return writeJSON(c.OutOrStdout(), list)
}

func recipesText(c *cobra.Command) error {
	t := newTable("name", ">epochs", ">batch", "optimizer", ">lr per 256", "schedule", ">smoothing", ">average")
	for _, name := range train.RecipeNames() {
		r, err := train.LookupRecipe(name)
		if err != nil {
			return err
		}
		t.add(name, fmt.Sprint(r.Epochs), fmt.Sprint(r.Batch), r.Optimizer, fmt.Sprint(r.LRPer256), string(r.Schedule), fmt.Sprint(r.LabelSmoothing), fmt.Sprint(r.EMADecay))
	}
	_, err := fmt.Fprint(c.OutOrStdout(), t)
	return err
}
