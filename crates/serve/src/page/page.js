"use strict";

const element = (id) => document.getElementById(id);
const calibrated = 0.5;
// Each image that was looked at, to be drawn again when a slider moves.
const looked = [];

const authorization = () => (element("token").value ? { Authorization: `Bearer ${element("token").value}` } : {});

async function describe() {
  const answer = await fetch("/v1/model", { headers: authorization() });
  if (answer.status === 401) {
    element("token-field").hidden = false;
    element("model").textContent = "This server asks for a token.";
    return;
  }
  const model = await answer.json();
  const rate = (100 * model.false_alarm_rate).toFixed(1).replace(/\.0$/, "");
  element("model").textContent =
    `${model.name} · ${model.classes.length} classes · ${model.backbone} at ${model.img_size} px · false alarms ${rate} %`;
  const choice = element("class");
  choice.replaceChildren();
  if (model.infers_classes) choice.add(new Option("inferred", ""));
  for (const name of model.classes) choice.add(new Option(name, name));
}

function tell(message) {
  element("problem").textContent = message;
  element("problem").hidden = !message;
}

async function look(files) {
  tell("");
  for (const file of files) await one(file);
}

async function one(file) {
  const card = element("result").content.firstElementChild.cloneNode(true);
  card.classList.add("waiting");
  card.querySelector(".verdict").textContent = "looking…";
  card.querySelector(".name").textContent = file.name;
  element("results").prepend(card);
  try {
    const query = new URLSearchParams({ map: "npy" });
    if (element("class").value) query.set("class", element("class").value);
    const answer = await fetch(`/v1/predict?${query}`, {
      method: "POST",
      headers: { "Content-Type": file.type || "application/octet-stream", ...authorization() },
      body: file,
    });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.error.message);
    const said = body.predictions[0];
    const map = values(said.map);
    looked.push({ card, said, map, image: await picture(file, said.square) });
    card.classList.remove("waiting");
    draw(looked.at(-1));
  } catch (error) {
    card.classList.replace("waiting", "failed");
    card.querySelector(".verdict").textContent = "not looked at";
    tell(`${file.name}: ${error.message}`);
  }
}

// The square of the image that was looked at; formats the browser cannot show stay grey.
async function picture(file, [x, y, width, height]) {
  try {
    return await createImageBitmap(file, x, y, width, height, {
      imageOrientation: "none", resizeWidth: 1024, resizeHeight: 1024,
    });
  } catch {
    return null;
  }
}

// The map's values, 0 to 1, from a file of NumPy: a header of a stated length, then float32.
function values({ data, size }) {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const header = 10 + bytes[8] + 256 * bytes[9];
  return { size, at: new Float32Array(bytes.slice(header).buffer) };
}

// From nothing over yellow to red: where heat begins, at half the threshold, to twice the threshold.
function heat(v, threshold) {
  const t = Math.min(1, Math.max(0, (v - threshold / 2) / (1.5 * threshold)));
  return [255, 225 * (1 - t), 40 * (1 - t), 255 * Math.min(1, 1.8 * t)];
}

// How many connected parts of the map are above the threshold.
function countRegions({ size, at }, threshold) {
  const seen = new Uint8Array(size * size);
  let count = 0;
  for (let start = 0; start < at.length; start++) {
    if (seen[start] || at[start] <= threshold) continue;
    count++;
    const open = [start];
    seen[start] = 1;
    while (open.length) {
      const i = open.pop();
      const [x, y] = [i % size, Math.floor(i / size)];
      for (let v = Math.max(0, y - 1); v <= Math.min(size - 1, y + 1); v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(size - 1, x + 1); u++) {
          const next = v * size + u;
          if (!seen[next] && at[next] > threshold) { seen[next] = 1; open.push(next); }
        }
      }
    }
  }
  return count;
}

function draw({ card, said, map, image }) {
  const threshold = Number(element("threshold").value);
  const side = 2 * map.size;
  const canvas = card.querySelector("canvas");
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  if (image) context.drawImage(image, 0, 0, side, side);
  const layer = new ImageData(map.size, map.size);
  const opacity = Number(element("opacity").value);
  map.at.forEach((v, i) => {
    const [red, green, blue, share] = heat(v, threshold);
    layer.data.set([red, green, blue, opacity * share], 4 * i);
  });
  const over = new OffscreenCanvas(map.size, map.size);
  over.getContext("2d").putImageData(layer, 0, 0);
  context.drawImage(over, 0, 0, side, side);
  contour(context, map, threshold);
  const moved = Math.abs(threshold - calibrated) > 1e-6;
  const peak = map.at.reduce((a, b) => Math.max(a, b), 0);
  const anomalous = moved ? peak > threshold || said.class === null : said.verdict === "anomalous";
  card.classList.toggle("anomalous", anomalous);
  card.classList.toggle("normal", !anomalous);
  const none = said.class === null ? ", none of the classes" : "";
  card.querySelector(".verdict").textContent = (anomalous ? "anomalous" : "normal") + none;
  card.querySelector(".class").textContent = said.class ?? `none (nearest ${said.scored_as})`;
  card.querySelector(".score").textContent =
    `${said.score.toFixed(4)} ${said.score > said.threshold ? ">" : "≤"} ${said.threshold.toFixed(4)}`;
  card.querySelector(".regions").textContent = countRegions(map, threshold);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${said.name}: ${anomalous ? "anomalous" : "normal"}, score ${said.score.toFixed(4)}`);
}

// The border of where the map is above the threshold.
function contour(context, map, threshold) {
  const above = (x, y) => x >= 0 && y >= 0 && x < map.size && y < map.size && map.at[y * map.size + x] > threshold;
  context.beginPath();
  for (let y = 0; y < map.size; y++) {
    for (let x = 0; x < map.size; x++) {
      if (!above(x, y)) continue;
      for (const [dx, dy, x0, y0, x1, y1] of [
        [-1, 0, 0, 0, 0, 1], [1, 0, 1, 0, 1, 1], [0, -1, 0, 0, 1, 0], [0, 1, 0, 1, 1, 1],
      ]) {
        if (above(x + dx, y + dy)) continue;
        context.moveTo(2 * (x + x0), 2 * (y + y0));
        context.lineTo(2 * (x + x1), 2 * (y + y1));
      }
    }
  }
  context.lineWidth = 2;
  context.strokeStyle = "#00dc82";
  context.stroke();
}

function again() {
  const threshold = Number(element("threshold").value);
  const moved = Math.abs(threshold - calibrated) > 1e-6;
  element("threshold-text").textContent = moved ? `${threshold.toFixed(3)}, calibrated ${calibrated}` : `${calibrated}, as calibrated`;
  looked.forEach(draw);
}

const drop = element("drop");
for (const kind of ["dragenter", "dragover"]) {
  drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => { event.preventDefault(); look([...event.dataTransfer.files]); });
element("files").addEventListener("change", (event) => { look([...event.target.files]); event.target.value = ""; });
document.addEventListener("paste", (event) => look([...event.clipboardData.files]));
element("threshold").addEventListener("input", again);
element("opacity").addEventListener("input", again);
element("reset").addEventListener("click", () => { element("threshold").value = calibrated; again(); });
element("token").addEventListener("change", () => describe().catch((error) => tell(error.message)));
describe().catch((error) => tell(`The server cannot be reached: ${error.message}`));
