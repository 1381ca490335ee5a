package serve

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"effnet"
	"effnet/internal/browsertest"
)

// looked is a server with two models, a folder with pictures, and a browser.
type looked struct {
	url     string
	models  []Source
	picture string // a file of 60x45 pixels
	text    string // a file that is no picture
	browser *browsertest.Browser
}

func newLooked(t *testing.T, b *browsertest.Browser, cfg Config) looked {
	t.Helper()
	l := looked{browser: b}
	large := strings.NewReplacer("name: small", "name: large", "resolution: 24", "resolution: 32", "c12]", "c16]").Replace(testSpec)
	l.models = []Source{fileSource(t, "small", "1", testWeights(t, testSpec, 1)), fileSource(t, "large", "1", testWeights(t, large, 2))}
	cfg.Models = l.models
	_, l.url = newServer(t, cfg)
	dir := t.TempDir()
	l.picture, l.text = filepath.Join(dir, "noise.png"), filepath.Join(dir, "letter.txt")
	for path, data := range map[string][]byte{l.picture: picture(t, 60, 45, 3), l.text: []byte("Dear network,")} {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// TestInBrowser drives the pages as people do.
func TestInBrowser(t *testing.T) {
	b := browsertest.Open(t)
	l := newLooked(t, b, Config{})
	t.Run("classify", l.classify)
	t.Run("compare", l.compare)
	t.Run("keyboard", l.keyboard)
	t.Run("looks", l.looks)
	t.Run("policy", l.policy)
	t.Run("token", newLooked(t, b, Config{Token: "open-sesame"}).token)
}

// says is what a model says about a picture, as the pages write it.
func says(t *testing.T, src Source, path string) []string {
	t.Helper()
	m, err := src.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	im, err := effnet.ReadImage(path)
	if err != nil {
		t.Fatal(err)
	}
	best, err := m.Classify(context.Background(), im, 5)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, p := range best {
		list = append(list, fmt.Sprintf("%s %.1f %%", p.Label, 100*p.Probability))
	}
	return list
}

// guesses reads the classes that stand under an element.
func guesses(tab *browsertest.Tab, under string) []string {
	return browsertest.Value[[]string](tab, fmt.Sprintf("[...document.querySelectorAll(%q)].map(g => g.querySelector('b').textContent + ' ' + g.querySelector('span').textContent)", under+" .guess"))
}

// shown is true when all maps that have been asked for are drawn.
const shown = "document.querySelectorAll('.busy').length === 0 && document.querySelectorAll('.view').length > 0 && [...document.querySelectorAll('.view')].every(v => v.classList.contains('mapped'))"

// classify drops, pastes and chooses, and holds what is shown against the model.
func (l looked) classify(t *testing.T) {
	tab := l.browser.Tab(t, 5*time.Minute)
	tab.Look(browsertest.Look{})
	tab.Go(l.url + "/")
	tab.Wait("document.querySelector('#card table') !== null")
	card := browsertest.Value[string](tab, "document.getElementById('card').innerText")
	for _, want := range []string{"small", "4: c0, c1, c2, c3", "resize the short side to 32, bicubic; crop the centre, 24 × 24", "stem", "classifier"} {
		if !strings.Contains(card, want) {
			t.Errorf("the card lacks %q:\n%s", want, card)
		}
	}
	if strings.Contains(card, "undefined") || strings.Contains(card, "NaN") {
		t.Errorf("the card says\n%s", card)
	}

	tab.Drop(".drop", l.picture)
	tab.Wait(shown)
	if got, want := guesses(tab, ".picture"), says(t, l.models[0], l.picture); !slices.Equal(got, want) {
		t.Errorf("small: the page says %q, the model %q", got, want)
	}
	if news := browsertest.Value[string](tab, "document.getElementById('news').textContent"); !strings.HasPrefix(news, "noise.png: "+says(t, l.models[0], l.picture)[0]) {
		t.Errorf("who listens hears %q", news)
	}
	if took := browsertest.Value[string](tab, "document.querySelector('.took').innerText"); !strings.Contains(took, "queue") || !strings.Contains(took, "compute") || strings.Contains(took, "NaN") {
		t.Errorf("times: %q", took)
	}

	// The slider sets how much of the map is seen.
	seen := func() float64 {
		return browsertest.Value[float64](tab, "Number(getComputedStyle(document.querySelector('.sheet canvas')).opacity)")
	}
	before := seen()
	browsertest.Value[bool](tab, "(s => { s.value = 80; return s.dispatchEvent(new Event('input')); })(document.getElementById('opacity'))")
	if after := seen(); math.Abs(before-0.55) > 1e-3 || math.Abs(after-0.8) > 1e-3 {
		t.Errorf("the map's opacity was %g and is %g, want 0.55 and 0.8", before, after)
	}

	// The map is the one that the server draws.
	sameAsServer(t, tab, l, "")

	// Another class, by its name.
	best := browsertest.Value[string](tab, "document.querySelector('.guess:last-of-type b').textContent")
	browsertest.Value[bool](tab, fmt.Sprintf("(i => { i.value = %q; return i.dispatchEvent(new Event('change')); })(document.querySelector('.other input'))", best))
	tab.Wait(fmt.Sprintf("document.querySelector('.sheet canvas').getAttribute('aria-label').startsWith('Map of what speaks for %s:')", best))
	sameAsServer(t, tab, l, best)
	browsertest.Value[bool](tab, "(i => { i.value = 'no such class'; return i.dispatchEvent(new Event('change')); })(document.querySelector('.other input'))")
	tab.Wait("document.querySelector('.other [role=alert]').textContent === 'no class of that name'")

	// Another model.
	browsertest.Value[bool](tab, "(s => { s.value = 1; return s.dispatchEvent(new Event('change')); })(document.getElementById('model'))")
	tab.Wait("document.getElementById('card-name').textContent === 'large'")
	tab.Wait(shown)
	if got, want := guesses(tab, ".picture"), says(t, l.models[1], l.picture); !slices.Equal(got, want) {
		t.Errorf("large: the page says %q, the model %q", got, want)
	}

	// A file that is no picture: the page says what the server says.
	tab.Drop(".drop", l.text)
	tab.Wait("document.querySelector('.problem') !== null")
	if text := browsertest.Value[string](tab, "document.querySelector('.problem').innerText"); !strings.Contains(text, "415") || !strings.Contains(text, "image") {
		t.Errorf("the problem reads %q", text)
	}
	onlyStatus(t, tab, "415")

	// A picture from the clipboard.
	browsertest.Value[bool](tab, `(async () => {
		const pixels = new OffscreenCanvas(30, 20);
		pixels.getContext("2d").fillRect(0, 0, 10, 10);
		const data = new DataTransfer();
		data.items.add(new File([await pixels.convertToBlob()], "image.png", { type: "image/png" }));
		return dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, cancelable: true }));
	})()`)
	tab.Wait("document.querySelector('.picture h2').textContent === 'Pasted picture' && document.querySelector('.picture .mapped') !== null")

	browsertest.Value[bool](tab, "document.getElementById('clear').click() ?? true")
	if n := browsertest.Value[int](tab, "document.querySelectorAll('.picture').length"); n != 0 {
		t.Errorf("%d pictures after Clear", n)
	}
}

// onlyStatus takes the problem that the browser itself notes for an answer with
// an error.
func onlyStatus(t *testing.T, tab *browsertest.Tab, status string) {
	t.Helper()
	problems := tab.Problems()
	for _, p := range problems {
		if !strings.Contains(p, "Failed to load resource") || !strings.Contains(p, status) {
			t.Errorf("the page: %s", p)
		}
	}
	if len(problems) == 0 {
		t.Errorf("no request was answered with %s", status)
	}
}

// sameAsServer holds the map on the page against the drawing of /v1/explain.
func sameAsServer(t *testing.T, tab *browsertest.Tab, l looked, class string) {
	t.Helper()
	data, err := os.ReadFile(l.picture)
	if err != nil {
		t.Fatal(err)
	}
	resp, body := send(t, "POST", l.url+"/v1/explain?model=small&format=heat&class="+class, "image/png", data)
	if resp.StatusCode != 200 {
		t.Fatalf("heat: %s", body)
	}
	heat, err := png.Decode(strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	drawn := browsertest.Value[struct {
		W, H int
		Pix  []uint8
	}](tab, `(c => {
		const copy = new OffscreenCanvas(c.width, c.height).getContext("2d", { willReadFrequently: true });
		copy.drawImage(c, 0, 0);
		return { W: c.width, H: c.height, Pix: [...copy.getImageData(0, 0, c.width, c.height).data] };
	})(document.querySelector(".sheet canvas"))`)
	if heat.Bounds() != image.Rect(0, 0, drawn.W, drawn.H) {
		t.Fatalf("the page draws %dx%d pixels, the server %v", drawn.W, drawn.H, heat.Bounds())
	}
	for y := range drawn.H {
		for x := range drawn.W {
			r, g, b, a := heat.At(x, y).RGBA()
			p := drawn.Pix[4*(y*drawn.W+x):][:4]
			if a == 0 { // not shown to the network
				if p[3] == 255 {
					t.Fatalf("pixel %d,%d: the network does not see it, the page draws %v", x, y, p)
				}
				continue
			}
			for i, v := range []uint32{r, g, b, a} {
				if d := int(p[i]) - int(v>>8); d < -1 || d > 1 {
					t.Fatalf("pixel %d,%d: the page draws %v, the server %v", x, y, p, heat.At(x, y))
				}
			}
		}
	}
}

// compare shows two models beside each other, on a telephone by night.
func (l looked) compare(t *testing.T) {
	tab := l.browser.Tab(t, 5*time.Minute)
	tab.Look(browsertest.Look{Width: 390, Height: 844, Touch: true, Dark: true, Still: true})
	tab.Go(l.url + "/compare")
	tab.Wait("document.querySelectorAll('#models input:checked').length === 2")
	tab.Drop(".drop", l.picture)
	tab.Wait(shown + " && document.querySelectorAll('.column').length === 2")
	for i, src := range l.models {
		if got, want := guesses(tab, fmt.Sprintf(".column:nth-of-type(%d)", i+1)), says(t, src, l.picture); !slices.Equal(got, want) {
			t.Errorf("%s: the page says %q, the model %q", src.Name, got, want)
		}
		costs := browsertest.Value[string](tab, fmt.Sprintf("document.querySelector('.column:nth-of-type(%d) .costs').innerText", i+1))
		for _, want := range []string{"compute", "ms", "MACs", "parameters", []string{"24 px", "32 px"}[i]} {
			if !strings.Contains(costs, want) {
				t.Errorf("%s: the costs lack %q: %q", src.Name, want, costs)
			}
		}
	}
	browsertest.Value[bool](tab, "document.querySelector('#models input').click() ?? true")
	tab.Wait("document.querySelectorAll('.column').length === 1 && document.querySelector('.column h3').textContent === 'large'")
}

// keyboard goes through the page without a mouse.
func (l looked) keyboard(t *testing.T) {
	tab := l.browser.Tab(t, 5*time.Minute)
	tab.Look(browsertest.Look{Still: true})
	tab.Go(l.url + "/")
	tab.Wait("document.querySelector('#card table') !== null")
	order := func(n int) []string {
		var list []string
		for range n {
			tab.Press("Tab")
			list = append(list, browsertest.Value[string](tab, "(e => e.id || e.getAttribute('aria-label') || e.textContent.trim() || e.type)(document.activeElement)"))
		}
		return list
	}
	if got, want := order(7), []string{"Skip to the results", "effnet", "Classify", "Compare", "theme", "model", "files"}; !slices.Equal(got, want) {
		t.Fatalf("Tab goes to %q, want %q", got, want)
	}
	tab.Choose(l.picture, func() { tab.Press("Enter") })
	tab.Wait(shown)
	if got, want := order(3), []string{"Remove noise.png", "radio", "text"}; !slices.Equal(got, want) {
		t.Fatalf("Tab then goes to %q, want %q", got, want)
	}
	tab.Press("Shift+Tab")
	first := browsertest.Value[string](tab, "document.querySelector('.sheet canvas').getAttribute('aria-label')")
	tab.Press("ArrowDown")
	tab.Wait(fmt.Sprintf("document.querySelector('.sheet canvas').getAttribute('aria-label') !== %q", first))
	for range 4 {
		tab.Press("Shift+Tab")
	}
	if at := browsertest.Value[string](tab, "document.activeElement.id"); at != "opacity" {
		t.Fatalf("Shift+Tab goes to %q, want the slider", at)
	}
	tab.Press("ArrowRight")
	if text := browsertest.Value[string](tab, "document.getElementById('opacity').getAttribute('aria-valuetext') + getComputedStyle(document.querySelector('.sheet canvas')).opacity"); text != "56 percent0.56" {
		t.Errorf("ArrowRight on the slider makes it %q", text)
	}
}

// token is for servers that want one.
func (l looked) token(t *testing.T) {
	tab := l.browser.Tab(t, 5*time.Minute)
	tab.Go(l.url + "/")
	give := func(token string) {
		tab.Wait("document.activeElement.id === 'token' && document.activeElement.value === ''")
		tab.Type(token)
		tab.Press("Enter")
	}
	give("sesame")
	tab.Wait("document.querySelector('#trouble .problem') !== null")
	give("open-sesame")
	tab.Wait("document.querySelector('#card table') !== null && document.querySelector('#trouble *') === null")
	onlyStatus(t, tab, "401")
	tab.Go(l.url + "/compare") // which knows it already
	tab.Wait("document.querySelectorAll('#models input').length === 2")
}

// looks holds both pages to what people who see less, or hear them, need.
func (l looked) looks(t *testing.T) {
	for _, at := range []string{"/", "/compare"} {
		tab := l.browser.Tab(t, 5*time.Minute)
		tab.Go(l.url + at)
		tab.Wait("document.querySelector('#model option, #models input') !== null")
		tab.Drop(".drop", l.picture)
		tab.Wait(shown)
		for _, p := range tab.Nameless() {
			t.Errorf("%s: %s", at, p)
		}
		for _, look := range browsertest.Looks {
			look.Still = true
			tab.Look(look)
			for _, p := range tab.Unreadable() {
				t.Errorf("%s, %s: %s", at, look.Name, p)
			}
			if wide := browsertest.Value[int](tab, "document.documentElement.scrollWidth - innerWidth"); wide > 0 {
				t.Errorf("%s, %s: %d pixels wider than the window", at, look.Name, wide)
			}
			tab.Shot("serve" + strings.ReplaceAll(at, "/", "-") + "-" + look.Name)
		}
		// Paper is white, whatever the theme.
		browsertest.Value[string](tab, "document.documentElement.dataset.theme = 'dark'")
		tab.Look(browsertest.Look{Name: "print", Width: 690, Height: 1000, Dark: true, Print: true, Still: true})
		if paper := browsertest.Value[string](tab, "getComputedStyle(document.body).backgroundColor"); paper != "rgb(255, 255, 255)" {
			t.Errorf("%s is printed on %s", at, paper)
		}
		for _, p := range tab.Unreadable() {
			t.Errorf("%s, printed: %s", at, p)
		}
		tab.Shot("serve" + strings.ReplaceAll(at, "/", "-") + "-print")
	}
}

// policy shows that a breach of the policy is seen.
func (l looked) policy(t *testing.T) {
	tab := l.browser.Tab(t, 5*time.Minute)
	tab.Go(l.url + "/")
	tab.Wait("document.querySelector('#card table') !== null")
	for _, breach := range []string{
		"document.body.setAttribute('style', 'color: red') ?? true",
		"fetch('http://127.0.0.1:1/').catch(() => true)",
		"(i => { i.src = l => 1; i.src = location.origin.replace('127.0.0.1', 'localhost') + '/web/icon.svg'; return true; })(new Image())",
	} {
		browsertest.Value[bool](tab, breach)
		var problems []string
		for range 1000 {
			if problems = append(problems, tab.Problems()...); len(problems) > 0 {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, "Content Security Policy") }) {
			t.Errorf("%s: noted is only %q", breach, problems)
		}
		time.Sleep(50 * time.Millisecond)
		tab.Problems()
	}
}
