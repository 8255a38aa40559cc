/**
 * Runs an exported release with onnxruntime-web alone, in a browser or in Node.
 *
 *   import * as ort from "onnxruntime-web";
 *   const model = await Model.load("./model/", ort);
 *   const answers = await model.predict([{ age: 41 }]);
 *
 * Cells are read strictly: numbers as numbers, truth as true or false, times as ISO 8601 (UTC unless they say otherwise),
 * missing ones as null. What volant does beyond that (other spellings, flags, the log) is left out.
 */

const LARGEST = 3.4028234663852886e38;
const LEAST = 1e-15;
const DAY = 86_400_000;

const clip = (x, low, high) => Math.min(Math.max(x, low), high); // NaN stays NaN
const f32 = Math.fround;
const sum = (values) => values.reduce((all, one) => all + one, 0);
const missing = (value) => value === null || value === undefined;
const scaled = (row) => row.map((value) => value / sum(row));

function softmax(row) {
  const top = Math.max(...row);
  return scaled(row.map((value) => Math.exp(value - top)));
}

/** Piecewise linear interpolation, flat beyond its ends. */
function interpolate(x, [xs, ys]) {
  if (x <= xs[0]) return ys[0];
  for (let i = 1; i < xs.length; i += 1) {
    if (x <= xs[i]) {
      const width = xs[i] - xs[i - 1];
      return width === 0 ? ys[i] : ys[i - 1] + ((ys[i] - ys[i - 1]) * (x - xs[i - 1])) / width;
    }
  }
  return ys[ys.length - 1];
}

function calendar(time) {
  if (Number.isNaN(time)) return new Array(8).fill(NaN);
  const at = new Date(time);
  const day = Math.floor(time / DAY);
  const year = at.getUTCFullYear();
  const month = at.getUTCMonth();
  return [
    day,
    year,
    month + 1,
    at.getUTCDate(),
    (((day + 3) % 7) + 7) % 7,
    day - Date.UTC(year, 0, 1) / DAY + 1,
    at.getUTCHours(),
    at.getUTCMinutes(),
  ];
}

const place = (code, size) => (code >= 0 && code < size ? Math.trunc(code) : size);

/** Each step, made from its parameters, takes the cells of one row and gives those of the next value. */
const STEPS = {
  float: () => (x) => [f32(clip(Number(x), -LARGEST, LARGEST))],
  encode: ({ vocabulary, other }) => {
    const codes = new Map(vocabulary.map((value, i) => [value, i]));
    const otherwise = missing(other) ? NaN : other;
    return (x) => [missing(x) ? NaN : (codes.get(x) ?? otherwise)];
  },
  one_hot: ({ size }) => ([code]) => Array.from({ length: size }, (_, i) => (i === place(code, size) ? 1 : 0)),
  lookup: ({ table }) => ([code]) => table[place(code, table.length - 1)].map(f32),
  cross: ({ size }) => ([a], [b]) => [f32(f32(a * f32(size)) + b)],
  calendar: () => calendar,
  days_between: () => (a, b) => [f32((a - b) / DAY)],
  combine: ({ pairs }) => (x) => {
    const cut = (value) => f32(clip(value, -LARGEST, LARGEST));
    const flat = pairs.flat().length / 2 === pairs.length ? pairs : chunked(pairs.flat());
    return [
      ...flat.map(([i, j]) => cut(x[i] - x[j])),
      ...flat.map(([i, j]) => cut(x[i] / (Math.abs(x[j]) < 1e-9 ? NaN : x[j]))),
    ];
  },
  stack: () => (...parts) => parts.flat().map(f32),
  impute: ({ fill, flags = [] }) => (x) => [
    ...x.map((value, i) => (Number.isNaN(value) ? f32(fill[i]) : value)),
    ...flags.map((i) => (Number.isNaN(x[i]) ? 1 : 0)),
  ],
  scale: ({ center, spread, clip: most }) => (x) =>
    x.map((value, i) => f32(clip((value - center[i]) / spread[i], -most, most))),
  sigmoid_pair: () => ([x]) => {
    const positive = 1 / (1 + Math.exp(-clip(x, -700, 700)));
    return [1 - positive, positive];
  },
  sigmoid: () => (x) => x.map((one) => 1 / (1 + Math.exp(-clip(one, -700, 700)))),
  softmax: () => softmax,
  first: ({ scale = 1, shift = 0, low, high }) => ([x]) =>
    clip(x * scale + shift, missing(low) ? -Infinity : low, missing(high) ? Infinity : high),
  constant: ({ value }) => () => value,
  average: ({ weights }) => (...parts) => {
    const total = sum(weights);
    const mean = (cells) => sum(cells.map((cell, i) => cell * weights[i])) / total;
    return Array.isArray(parts[0]) ? parts[0].map((_, k) => mean(parts.map((part) => part[k]))) : mean(parts);
  },
  temperature: ({ value, least = LEAST }) => (p) => {
    const warm = softmax(p.map((one) => Math.log(clip(one, LEAST, 1)) / value));
    return least > LEAST ? scaled(warm.map((one) => Math.max(one, least))) : warm;
  },
  temperatures: ({ values, least }) => (p) =>
    p.map((one, l) => {
      const inner = clip(one, LEAST, 1 - LEAST);
      return clip(1 / (1 + Math.exp(-Math.log(inner / (1 - inner)) / values[l])), least, 1 - least);
    }),
  mark: ({ thresholds }) => (p) => p.map((one, l) => one >= thresholds[l]),
  curves: ({ curves }) => (p) => {
    if (curves.length > 1) return scaled(p.map((one, c) => interpolate(one, curves[c])));
    const positive = interpolate(p[1], curves[0]);
    return [1 - positive, positive];
  },
  reweigh: ({ factors }) => (p) => scaled(p.map((one, c) => one * factors[c])),
  offset_by_group: ({ values, offsets, salt }) => (answer, group) => {
    if (salt !== undefined) return answer; // a browser knows nobody: it answers as it would a stranger
    const shift = offsets[values.indexOf(group)];
    if (shift === undefined) return answer;
    return Array.isArray(answer) ? scaled(answer.map((one, c) => one * Math.exp(shift[c]))) : answer + shift[0];
  },
  utility: ({ costs }) => (p) => costs[0].map((_, answer) => -sum(p.map((one, truth) => one * costs[truth][answer]))),
  decide: ({ classes, threshold }) => (p) =>
    classes[missing(threshold) ? p.indexOf(Math.max(...p)) : Number(p[1] >= threshold)],
  exp: ({ factor, offset, low, high }) => (x) => clip(Math.exp(clip(x, -700, 700)) * factor - offset, low, high),
  interval_end: ({ shift, factor, column, exponential, side, floor }) => (value, margins) => {
    let end = value + shift;
    if (margins !== undefined) end += factor * (exponential ? Math.exp(margins[column]) : margins[column]);
    if (side !== "low") return Math.max(end, value);
    return Math.min(missing(floor) ? end : Math.max(end, floor), value);
  },
};

const chunked = (flat) => Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);

/** A cell as the steps take it. */
function cell(row, field) {
  if (field.required && !(field.name in row)) throw new Error(`the field ${field.name} is missing`);
  const value = row[field.name];
  if (field.type === "number" || field.type === "boolean") return missing(value) ? NaN : Number(value);
  if (field.type !== "timestamp") return missing(value) ? null : String(value);
  return missing(value) ? NaN : Date.parse(/(z|[+-]\d\d:?\d\d)$/i.test(value) || !/t/i.test(value) ? value : `${value}Z`);
}

export class Model {
  constructor(pipeline, signature, sessions, ort) {
    Object.assign(this, { pipeline, signature, sessions, ort });
    this.runs = pipeline.steps.map((step) => (step.op === "onnx" ? null : STEPS[step.op](step.params ?? {})));
  }

  /** Loads a release from a folder. `read` gives a file's bytes; by default it is fetched. */
  static async load(folder, ort, read = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer())) {
    const json = async (name) => JSON.parse(new TextDecoder().decode(await read(folder + name)));
    const [pipeline, signature] = [await json("pipeline.json"), await json("signature.json")];
    const sessions = {};
    for (const { op, file } of pipeline.steps) {
      if (op === "onnx" && !(file in sessions)) sessions[file] = await ort.InferenceSession.create(await read(folder + file));
    }
    return new Model(pipeline, signature, sessions, ort);
  }

  /** One answer per row: `label` or `labels` with `probabilities`, or `value`, with `low` and `high` where promised. */
  async predict(rows) {
    const values = Object.fromEntries(
      this.signature.inputs.map((field) => [field.name, rows.map((row) => cell(row, field))]),
    );
    for (const [i, step] of this.pipeline.steps.entries()) {
      const given = step.inputs.map((name) => values[name]);
      const run = this.runs[i];
      values[step.output] =
        run === null ? await this.model(step, given[0]) : rows.map((_, n) => run(...given.map((cells) => cells[n])));
    }
    return rows.map((_, n) => this.answer((name) => values[this.pipeline.outputs[name]]?.[n]));
  }

  async model(step, cells) {
    const session = this.sessions[step.file];
    const input = new this.ort.Tensor("float32", Float32Array.from(cells.flat()), [cells.length, cells[0].length]);
    const found = await session.run({ [session.inputNames[0]]: input }, [step.params.output]);
    const { data, dims } = found[step.params.output];
    const width = dims.slice(1).reduce((all, one) => all * one, 1);
    return cells.map((_, n) => Array.from(data.slice(n * width, (n + 1) * width), Number));
  }

  answer(of) {
    const probabilities = of("probability");
    if (probabilities === undefined) {
      const names = ["value", "low", "high"].filter((name) => of(name) !== undefined);
      return Object.fromEntries(names.map((name) => [name, of(name)]));
    }
    const labels = this.signature.labels ?? [];
    if (labels.length) {
      const marked = of("labels");
      const likely = labels.map((name, l) => [name, probabilities[l]]);
      return { labels: labels.filter((_, l) => marked[l]), probabilities: Object.fromEntries(likely) };
    }
    const named = this.signature.classes.map((name, c) => [name, probabilities[c]]);
    return { label: of("label"), probabilities: Object.fromEntries(named) };
  }
}
