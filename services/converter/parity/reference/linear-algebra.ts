/**
 * The few pieces of arithmetic the reference forward passes are made of, in float64 over row-major arrays.
 * Knows no model. Plain loops on purpose: this is what converted graphs are judged by, so it must be easy to believe. An index outside an
 * array (`as number`) ends as NaN, which no comparison forgives.
 */

/** Activations: `rows` tokens of `width` numbers. */
export interface Matrix {
  readonly rows: number;
  readonly width: number;
  readonly data: Float64Array;
}

export function matrix(rows: number, width: number): Matrix {
  return { rows, width, data: new Float64Array(rows * width) };
}

/** Rows of a [n, width] table, one per id. Throws when the table has no such row. */
export function gather(table: Float32Array, width: number, ids: readonly number[]): Matrix {
  const result = matrix(ids.length, width);
  ids.forEach((id, row) => {
    if (!Number.isInteger(id) || id < 0 || (id + 1) * width > table.length) {
      throw new RangeError(`row ${id} asked of a table of ${table.length / width}`);
    }
    result.data.set(table.subarray(id * width, (id + 1) * width), row * width);
  });
  return result;
}

export function addInPlace(target: Matrix, other: Matrix): void {
  for (let i = 0; i < target.data.length; i++) target.data[i] = (target.data[i] as number) + (other.data[i] as number);
}

export function scaleInPlace(target: Matrix, factor: number): void {
  for (let i = 0; i < target.data.length; i++) target.data[i] = (target.data[i] as number) * factor;
}

/** Columns from..from+width-1 of every row. */
export function columns(x: Matrix, from: number, width: number): Matrix {
  const result = matrix(x.rows, width);
  for (let row = 0; row < x.rows; row++) {
    const start = row * x.width + from;
    result.data.set(x.data.subarray(start, start + width), row * width);
  }
  return result;
}

export function silu(value: number): number {
  return value / (1 + Math.exp(-value));
}

/** GELU by its tanh approximation (Hendrycks and Gimpel, 2016): `gelu_new` and `gelu_pytorch_tanh` alike. */
export function gelu(value: number): number {
  return 0.5 * value * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (value + 0.044715 * value ** 3)));
}

/** x W^T + b with W [out, in] as PyTorch's Linear holds it. */
export function linear(x: Matrix, weight: Float32Array, bias?: Float32Array): Matrix {
  const width = x.width;
  const out = weight.length / width;
  const result = matrix(x.rows, out);
  // One weight row against four tokens at a time: the row is widened to float64 once and stays in the first-level cache.
  const wide = new Float64Array(width);
  for (let o = 0; o < out; o++) {
    wide.set(weight.subarray(o * width, (o + 1) * width));
    const start = bias?.[o] ?? 0;
    let row = 0;
    for (; row + 4 <= x.rows; row += 4) dotFour(x.data, row * width, wide, result.data, row * out + o, out, start);
    for (; row < x.rows; row++) result.data[row * out + o] = start + dot(x.data, row * width, wide);
  }
  return result;
}

/** x W + b with W [in, out] as GPT-2's Conv1D holds it. */
export function conv1d(x: Matrix, weight: Float32Array, bias: Float32Array): Matrix {
  const out = weight.length / x.width;
  const transposed = new Float32Array(weight.length);
  for (let i = 0; i < x.width; i++) {
    for (let o = 0; o < out; o++) transposed[o * x.width + i] = weight[i * out + o] as number;
  }
  return linear(x, transposed, bias);
}

function dot(x: Float64Array, offset: number, w: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < w.length; i++) sum += (x[offset + i] as number) * (w[i] as number);
  return sum;
}

function dotFour(
  x: Float64Array,
  offset: number,
  w: Float64Array,
  into: Float64Array,
  at: number,
  stride: number,
  start: number,
): void {
  const width = w.length;
  const [first, second, third, fourth] = [offset, offset + width, offset + 2 * width, offset + 3 * width];
  let a = start;
  let b = start;
  let c = start;
  let d = start;
  for (let i = 0; i < width; i++) {
    const value = w[i] as number;
    a += (x[first + i] as number) * value;
    b += (x[second + i] as number) * value;
    c += (x[third + i] as number) * value;
    d += (x[fourth + i] as number) * value;
  }
  into[at] = a;
  into[at + stride] = b;
  into[at + 2 * stride] = c;
  into[at + 3 * stride] = d;
}

/** x / rms(x) * weight. Zhang and Sennrich, 2019. */
export function rmsNorm(x: Matrix, weight: Float32Array, epsilon: number): Matrix {
  const result = matrix(x.rows, x.width);
  for (let row = 0; row < x.rows; row++) {
    const values = x.data.subarray(row * x.width, (row + 1) * x.width);
    let squares = 0;
    for (const value of values) squares += value * value;
    const scale = 1 / Math.sqrt(squares / x.width + epsilon);
    for (let i = 0; i < x.width; i++)
      result.data[row * x.width + i] = (values[i] as number) * scale * (weight[i] as number);
  }
  return result;
}

/** (x - mean) / std * weight + bias. Ba, Kiros and Hinton, 2016. */
export function layerNorm(x: Matrix, weight: Float32Array, bias: Float32Array, epsilon: number): Matrix {
  const result = matrix(x.rows, x.width);
  for (let row = 0; row < x.rows; row++) {
    const values = x.data.subarray(row * x.width, (row + 1) * x.width);
    let sum = 0;
    for (const value of values) sum += value;
    const mean = sum / x.width;
    let squares = 0;
    for (const value of values) squares += (value - mean) * (value - mean);
    const scale = 1 / Math.sqrt(squares / x.width + epsilon);
    for (let i = 0; i < x.width; i++) {
      result.data[row * x.width + i] =
        ((values[i] as number) - mean) * scale * (weight[i] as number) + (bias[i] as number);
    }
  }
  return result;
}

export interface AttentionShape {
  readonly heads: number;
  /** Key and value heads; each serves heads / kvHeads query heads in a row. */
  readonly kvHeads: number;
  readonly headDim: number;
  readonly scale: number;
  /** How many positions back a token may look, itself included. */
  readonly window: number;
}

/** Causal softmax attention over [tokens, heads * headDim]; keys and values are [tokens, kvHeads * headDim]. */
export function causalAttention(query: Matrix, key: Matrix, value: Matrix, shape: AttentionShape): Matrix {
  const { heads, kvHeads, headDim, scale, window } = shape;
  const result = matrix(query.rows, heads * headDim);
  const weights = new Float64Array(query.rows);
  for (let head = 0; head < heads; head++) {
    const kvHead = Math.floor(head / (heads / kvHeads));
    for (let token = 0; token < query.rows; token++) {
      const q = token * query.width + head * headDim;
      const first = Math.max(0, token - window + 1);
      let highest = -Infinity;
      for (let other = first; other <= token; other++) {
        const k = other * key.width + kvHead * headDim;
        let score = 0;
        for (let i = 0; i < headDim; i++) score += (query.data[q + i] as number) * (key.data[k + i] as number);
        weights[other] = score * scale;
        highest = Math.max(highest, score * scale);
      }
      let total = 0;
      for (let other = first; other <= token; other++) {
        const weight = Math.exp((weights[other] as number) - highest);
        weights[other] = weight;
        total += weight;
      }
      const to = token * result.width + head * headDim;
      for (let other = first; other <= token; other++) {
        const v = other * value.width + kvHead * headDim;
        const weight = (weights[other] as number) / total;
        for (let i = 0; i < headDim; i++) {
          result.data[to + i] = (result.data[to + i] as number) + weight * (value.data[v + i] as number);
        }
      }
    }
  }
  return result;
}

/** Each row as float32: what a graph's logits are compared with. */
export function rowsAsFloat32(x: Matrix): Float32Array[] {
  return Array.from({ length: x.rows }, (_, row) =>
    Float32Array.from(x.data.subarray(row * x.width, (row + 1) * x.width)),
  );
}
