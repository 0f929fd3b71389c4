// run.mjs PACKAGE MODEL.onnx BATCH ROWS|SIZE RUNS [OUTPUT.f32]
// Runs a model of make_onnx.py in ONNX Runtime on one thread; prints {"seconds": median, …} as JSON.
// The inputs are the same function of their index as in compare.py.
import {createRequire} from 'node:module';
import fs from 'node:fs';

const [place, path, batchText, sizeText, runsText, output] = process.argv.slice(2);
const ort = createRequire(place + '/')('onnxruntime-node');
const [batch, size, runs] = [batchText, sizeText, runsText].map(Number);

const session = await ort.InferenceSession.create(path, {
  executionProviders: ['cpu'], intraOpNumThreads: 1, interOpNumThreads: 1,
  graphOptimizationLevel: 'all', executionMode: 'sequential',
});
const feeds = {};
if (session.inputNames[0] === 'input_ids') {
  const ids = new BigInt64Array(batch * size);
  for (let i = 0; i < ids.length; ++i) ids[i] = BigInt(100 + (i * 7919) % 20000);
  feeds.input_ids = new ort.Tensor('int64', ids, [batch, size]);
} else {
  const pixels = new Float32Array(batch * 3 * size * size);
  for (let i = 0; i < pixels.length; ++i) pixels[i] = ((i * 7919) % 512) / 256 - 1;
  feeds.pixel_values = new ort.Tensor('float32', pixels, [batch, 3, size, size]);
}
const times = [];
let result;
for (let i = 0; i <= runs; ++i) {  // the first run warms up
  const begin = process.hrtime.bigint();
  result = await session.run(feeds);
  if (i > 0) times.push(Number(process.hrtime.bigint() - begin) / 1e9);
}
times.sort((a, b) => a - b);
if (output) fs.writeFileSync(output, Buffer.from(result.last_hidden_state.data.buffer));
console.log(JSON.stringify({
  seconds: times[times.length >> 1], least: times[0], version: ort.env.versions.node,
  shape: result.last_hidden_state.dims,
  peak_rss_bytes: process.resourceUsage().maxRSS * 1024,
}));
