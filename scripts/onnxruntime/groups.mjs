// groups.mjs PACKAGE MODEL.onnx IDS.json RUNS
// Runs lists of token ids through a model of make_onnx.py in ONNX Runtime on one thread, in groups, each padded
// with 0 to its longest; prints {"seconds": median of all groups' time, "first": the first row of the first list}.
// IDS.json: a list of groups, each a list of lists of ids.
import {createRequire} from 'node:module';
import fs from 'node:fs';

const [place, path, file, runs] = process.argv.slice(2);
const ort = createRequire(place + '/')('onnxruntime-node');
const session = await ort.InferenceSession.create(path, {
  executionProviders: ['cpu'], intraOpNumThreads: 1, interOpNumThreads: 1,
  graphOptimizationLevel: 'all', executionMode: 'sequential',
});
const feeds = JSON.parse(fs.readFileSync(file)).map((group) => {
  const longest = Math.max(...group.map((ids) => ids.length));
  const all = new BigInt64Array(group.length * longest);
  group.forEach((ids, i) => ids.forEach((id, t) => { all[i * longest + t] = BigInt(id); }));
  return {input_ids: new ort.Tensor('int64', all, [group.length, longest])};
});
const times = [];
let first;
for (let run = 0; run <= Number(runs); ++run) {  // the first run warms up
  const begin = process.hrtime.bigint();
  for (const feed of feeds) {
    const result = await session.run(feed);
    if (!first) first = Array.from(result.last_hidden_state.data.slice(0, result.last_hidden_state.dims[2]));
  }
  if (run > 0) times.push(Number(process.hrtime.bigint() - begin) / 1e9);
}
times.sort((a, b) => a - b);
console.log(JSON.stringify({seconds: times[times.length >> 1], least: times[0], first}));
