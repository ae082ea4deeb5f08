// Enlarges a picture in tiles. Takes a file; answers with the progress, then with the
// enlarged picture or an error in one sentence.
const SMALLEST_TILE = 32;
const RUNTIMES = { // the second is loaded where the first does not work
  WebGPU: { file: './ort.webgpu.js', provider: 'webgpu' },
  WebAssembly: { file: './ort.wasm.js', provider: 'wasm' },
};
const loading = load(); // while somebody looks for a picture

onmessage = async ({ data: file }) => {
  try {
    postMessage(await enlarge(file));
  } catch (error) {
    postMessage({ error: error.message });
  }
};
loading.catch(() => {}); // reported with the picture

// --- The network ---

async function load() {
  const response = await fetch('network.json');
  if (!response.ok) throw new Error('network.json is missing: upload the folder again.');
  const network = await response.json(); // scale, overlap and tile
  const gpu = await navigator.gpu?.requestAdapter().catch(() => null);
  for (const device of gpu ? ['WebGPU', 'WebAssembly'] : ['WebAssembly']) {
    try {
      const runtime = await open(device);
      await run(runtime, new ImageData(8, 8)); // where some drivers fail
      return { ...network, runtime, device };
    } catch (error) {
      if (device === 'WebAssembly') {
        throw new Error(`The network could not be loaded: ${error.message}`);
      }
    }
  }
}

async function open(device) {
  const { file, provider } = RUNTIMES[device];
  const ort = await import(file);
  const options = { executionProviders: [provider] };
  return { ort, session: await ort.InferenceSession.create('network.onnx', options) };
}

// RGBA in 8 bits, enlarged. Alpha is 255.
async function run({ ort, session }, { data, width, height }) {
  const lr = new Float32Array(width * height * 3);
  for (let i = 0, j = 0; i < data.length; i += 4) {
    for (let channel = 0; channel < 3; channel++) lr[j++] = data[i + channel];
  }
  const tensor = new ort.Tensor('float32', lr, [1, height, width, 3]);
  const outputs = await session.run({ [session.inputNames[0]]: tensor });
  const sr = outputs[session.outputNames[0]];
  const enlarged = new ImageData(sr.dims[2], sr.dims[1]);
  enlarged.data.fill(255);
  for (let i = 0, j = 0; j < sr.data.length; i += 4) {
    for (let channel = 0; channel < 3; channel++) {
      enlarged.data[i + channel] = sr.data[j++]; // clips and rounds
    }
  }
  return enlarged;
}

// --- The picture ---

async function enlarge(file) {
  const network = await loading;
  const start = performance.now();
  const lr = await decode(file);
  const [width, height] = [lr.canvas.width, lr.canvas.height].map((n) => n * network.scale);
  try {
    const sr = makeCanvas(width, height);
    await fill(sr, lr, network);
    const blob = await sr.canvas.convertToBlob(); // PNG
    const seconds = (performance.now() - start) / 1000;
    return { blob, width, height, seconds, scale: network.scale, device: network.device };
  } catch (error) {
    throw new Error(`${file.name} could not be enlarged to ${width} × ${height} pixels: `
      + `${error.message} If it is too large for this browser, choose a smaller picture.`);
  }
}

async function decode(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file); // upright, and in sRGB
  } catch {
    throw new Error(`${file.name} is not a picture that this browser can decode: choose `
      + 'another one, such as a PNG, JPEG or WebP file.');
  }
  const { width, height } = bitmap;
  const context = makeCanvas(width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context;
}

// A white canvas in main memory. Browsers make one that is too large without an error,
// but cannot draw on it.
function makeCanvas(width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { alpha: false, willReadFrequently: true });
  context.fillStyle = 'white';
  context.fillRect(0, 0, width, height);
  if (context.getImageData(width - 1, height - 1, 1, 1).data[0] !== 255) {
    throw new Error('The canvas is too large.');
  }
  return context;
}

// Smaller tiles are tried where one does not fit into memory.
async function fill(sr, lr, network) {
  for (let tile = network.tile; ; tile /= 2) {
    try {
      return await fillInTiles(sr, lr, { ...network, tile });
    } catch (error) {
      if (tile / 2 < SMALLEST_TILE) throw error;
    }
  }
}

// --- Tiles, as in core/tiles.py ---

async function fillInTiles(sr, lr, { runtime, scale, tile, overlap }) {
  const rows = windows(lr.canvas.height, tile, overlap);
  const columns = windows(lr.canvas.width, tile, overlap);
  let done = 0;
  for (const row of rows) {
    for (const column of columns) {
      const part = lr.getImageData(column.start, row.start, column.size, row.size);
      const enlarged = await run(runtime, part);
      const [x, y, left, top, width, height] = [
        column.start, row.start, column.from - column.start, row.from - row.start,
        column.to - column.from, row.to - row.from].map((n) => n * scale);
      sr.putImageData(enlarged, x, y, left, top, width, height);
      done += 1;
      postMessage({ progress: done / (rows.length * columns.length) });
    }
  }
}

// Covers a side with windows: for each its start and size, and the part of it to keep.
// They are as few as can be, and all of one size. What lies closer than `overlap` to a cut
// is left to the neighbour.
function windows(length, tile, overlap) {
  overlap = Math.min(overlap, tile / 4);
  const count = Math.max(1, Math.ceil((length - 2 * overlap) / (tile - 2 * overlap)));
  const size = Math.ceil((length + 2 * overlap * (count - 1)) / count);
  const starts = Array.from({ length: count }, (_, number) =>
    Math.floor(number * (length - size) / Math.max(1, count - 1)));
  return starts.map((start, number) => ({
    start,
    size,
    from: number ? start + overlap : 0,
    to: number < count - 1 ? starts[number + 1] + overlap : length,
  }));
}
