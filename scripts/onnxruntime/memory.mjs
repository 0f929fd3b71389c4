// memory.mjs PACKAGE MODEL.onnx BATCH ROWS
// What ONNX Runtime takes to load a model of make_onnx.py and run it twice on one thread; lines
// "name value" as promise_probe prints them. Counted as there: the most that was resident less what
// was when the package had been loaded.
import {createRequire} from 'node:module';
import fs from 'node:fs';

const [place, path, batchText, rowsText] = process.argv.slice(2);
const ort = createRequire(place + '/')('onnxruntime-node');
const [batch, rows] = [batchText, rowsText].map(Number);
const status = (field) =>
  1024 * Number(fs.readFileSync('/proc/self/status', 'utf8').match(new RegExp(field + ':\\s+(\\d+)'))[1]);

const baseline = status('VmRSS');
const begin = process.hrtime.bigint();
const session = await ort.InferenceSession.create(path, {
  executionProviders: ['cpu'], intraOpNumThreads: 1, interOpNumThreads: 1,
  graphOptimizationLevel: 'all', executionMode: 'sequential',
});
console.log(`load_ms ${Number(process.hrtime.bigint() - begin) / 1e6}`);
console.log(`load_peak_bytes ${status('VmHWM') - baseline}`);
console.log(`loaded_bytes ${status('VmRSS') - baseline}`);
const ids = new BigInt64Array(batch * rows);
for (let i = 0; i < ids.length; ++i) ids[i] = BigInt(100 + (i * 7919) % 20000);
for (let i = 1; i <= 2; ++i) {
  const start = process.hrtime.bigint();
  await session.run({input_ids: new ort.Tensor('int64', ids, [batch, rows])});
  console.log(`run${i}_ms ${Number(process.hrtime.bigint() - start) / 1e6}`);
}
console.log(`peak_bytes ${status('VmHWM') - baseline}`);
