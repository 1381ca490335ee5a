// Draws class activation maps in the colours of package explain.

// colours are the 256 of the scale, [r,g,b] each, from none to most.
const colours = fetch("web/colours.json").then(r => r.json());

const longest = 400; // side of a drawn map, pixels: they are smooth

// along is where the pixels of a side lie between the middles of a map's n
// places, which span from at on size pixels of the picture's whole.
function along(pixels, whole, at, size, n) {
  return Array.from({ length: pixels }, (_, i) => {
    const u = ((i + 0.5) * whole / pixels - at) / size;
    const v = Math.min(Math.max(u * n - 0.5, 0), n - 1), j = Math.floor(v);
    return { a: j, b: Math.min(j + 1, n - 1), t: v - j, seen: u >= 0 && u <= 1 };
  });
}

// draw draws a map over a picture of width x height pixels: the colour of the
// heat, linear between the map's places; what the network does not see is dark.
export async function draw(canvas, map, width, height) {
  const table = await colours;
  const scale = Math.min(1, longest / Math.max(width, height));
  const w = canvas.width = Math.max(1, Math.round(width * scale)), h = canvas.height = Math.max(1, Math.round(height * scale));
  const lo = Math.min(...map.values), span = Math.max(...map.values) - lo;
  const heat = map.values.map(v => span > 0 ? (v - lo) / span : 0);
  const xs = along(w, width, map.seen.x, map.seen.width, map.width), ys = along(h, height, map.seen.y, map.seen.height, map.height);
  const context = canvas.getContext("2d"), image = context.createImageData(w, h), out = image.data;
  ys.forEach((y, i) => xs.forEach((x, j) => {
    const at = 4 * (i * w + j);
    if (!x.seen || !y.seen) {
      out[at + 3] = 150;
      return;
    }
    const row = r => heat[r * map.width + x.a] * (1 - x.t) + heat[r * map.width + x.b] * x.t;
    const c = table[Math.round(255 * (row(y.a) * (1 - y.t) + row(y.b) * y.t))];
    out[at] = c[0], out[at + 1] = c[1], out[at + 2] = c[2], out[at + 3] = 255;
  }));
  context.putImageData(image, 0, 0);
}

// scale draws the colours from left to right.
export async function drawScale(canvas) {
  const table = await colours;
  canvas.width = table.length, canvas.height = 1;
  const image = new ImageData(table.length, 1);
  table.forEach((c, i) => image.data.set([...c, 255], 4 * i));
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// where says in words where a map has its most.
export function where(map, width, height) {
  const best = map.values.indexOf(Math.max(...map.values));
  const x = map.seen.x + map.seen.width * (best % map.width + 0.5) / map.width;
  const y = map.seen.y + map.seen.height * (Math.floor(best / map.width) + 0.5) / map.height;
  const third = (v, size, names) => names[Math.min(2, Math.max(0, Math.floor(3 * v / size)))];
  const row = third(y, height, ["top", "", "bottom"]), column = third(x, width, ["left", "", "right"]);
  return row || column ? "at the " + [row, column].filter(Boolean).join(" ") : "in the middle";
}

// valueAt is what the place of a map at a point of the picture adds to the
// class's logit; null where the network does not see.
export function valueAt(map, x, y) {
  const u = (x - map.seen.x) / map.seen.width, v = (y - map.seen.y) / map.seen.height;
  if (!(u >= 0 && u < 1 && v >= 0 && v < 1)) return null;
  return map.values[Math.floor(v * map.height) * map.width + Math.floor(u * map.width)] / map.values.length;
}
