package train

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

// The named recipes are files that anyone could have written: ParseRecipe reads
// them, and 'effnet recipes NAME' prints them to be changed.

//go:embed recipes/*.yaml
var recipeFiles embed.FS

var recipeNames = []string{"quick", "thorough", "efficientnet", "efficientnetv2", "finetune"}

// RecipeNames lists the named recipes, the default first.
func RecipeNames() []string { return slices.Clone(recipeNames) }

// RecipeText is the file of a named recipe; "" is the default.
func RecipeText(name string) ([]byte, error) {
	if name == "" {
		name = recipeNames[0]
	}
	if !slices.Contains(recipeNames, name) {
		return nil, fmt.Errorf("recipe: there is no recipe %q, have %s", name, strings.Join(recipeNames, ", "))
	}
	return recipeFiles.ReadFile("recipes/" + name + ".yaml")
}

// LookupRecipe finds a named recipe; "" is the default.
func LookupRecipe(name string) (Recipe, error) {
	src, err := RecipeText(name)
	if err != nil {
		return Recipe{}, err
	}
	return ParseRecipe(name+".yaml", src)
}
