// Both libraries at one tokenizer and one list of texts: their ids, and their times in turns.
//
// Tessera runs in a process of its own (bench/time_tokenizing.cpp) that waits while the native
// library works, and the other way round. Times are CPU time per encoding, for both of the thread
// that encodes and of nothing else: node hands a call to its one worker thread (UV_THREADPOOL_SIZE),
// whose time the kernel counts in nanoseconds. So what node itself takes, a few microseconds a call,
// is not in it, and neither is freeing what the native library returned. As many encodings as take
// some milliseconds are one call, encodeBatch(), without parallelism.
import fs from 'node:fs';
import {spawn} from 'node:child_process';
import {createInterface} from 'node:readline';
import path from 'node:path';
import {prepare} from './kinds.mjs';
import {writeTexts} from './texts.mjs';

const kNsPerCall = 4e6;

for (const [name, value] of [['UV_THREADPOOL_SIZE', '1'], ['TOKENIZERS_PARALLELISM', 'false']]) {
  if (process.env[name] !== value) throw new Error(`${name}=${value} must stand in the environment`);
}

// The C library then keeps the memory that is freed, in place of giving it back to the system.
const kKeepsMemory = 'glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=8589934592';

class Ours {
  constructor(program, directory, file, keepsMemory) {
    const env = keepsMemory ? {...process.env, GLIBC_TUNABLES: kKeepsMemory} : process.env;
    this.child = spawn(program, [directory, file], {stdio: ['pipe', 'pipe', 'inherit'], env});
    this.lines = createInterface({input: this.child.stdout})[Symbol.asyncIterator]();
  }
  async ask(command) {
    this.child.stdin.write(command + '\n');
    const {value, done} = await this.lines.next();
    if (done) throw new Error(`time_tokenizing ended at "${command}"`);
    if (value.startsWith('error')) throw new Error(value);
    return value;
  }
  async ids(i) {
    const line = await this.ask(`ids ${i}`);
    return line === '' ? [] : line.split(' ').map(Number);
  }
  // Nanoseconds of CPU time for `count` encodings.
  async time(i, count) {
    return Number((await this.ask(`time ${i} ${count}`)).split(' ')[0]);
  }
  end() { this.child.stdin.end(); }
}

// Nanoseconds of CPU time of every thread of this process.
function threadTimes() {
  const times = new Map();
  for (const thread of fs.readdirSync('/proc/self/task')) {
    const words = fs.readFileSync(`/proc/self/task/${thread}/schedstat`, 'utf8').split(' ');
    times.set(thread, Number(words[0]));
  }
  return times;
}

// The thread that works while `call` is awaited.
async function findWorker(call) {
  const before = threadTimes();
  await call();
  const used = [...threadTimes()].filter(([thread]) => Number(thread) !== process.pid)
    .map(([thread, ns]) => [ns - (before.get(thread) ?? 0), thread]);
  return used.sort((a, b) => b[0] - a[0])[0][1];
}

export class Pair {
  constructor(tokenizers, program, shared, name, work, texts) {
    const {ours, native} = prepare(shared, name, work);
    const file = path.join(work, 'texts');
    writeTexts(file, texts);
    this.texts = texts;
    this.ours = new Ours(program, ours, file, false);
    this.keeping = new Ours(program, ours, file, true);
    this.native = tokenizers.Tokenizer.fromFile(path.join(native, 'tokenizer.json'));
    this.native.disableTruncation();
    this.native.disablePadding();
  }

  // The first of the first `count` texts whose ids differ, or null.
  async difference(count = this.texts.length) {
    for (const [i, {name, text}] of this.texts.slice(0, count).entries()) {
      const theirs = (await this.native.encode(text)).getIds();
      const ids = await this.ours.ids(i);
      if (ids.length !== theirs.length || ids.some((id, k) => id !== theirs[k])) return name;
    }
    return null;
  }

  // Nanoseconds of CPU time of the worker thread for `count` encodings.
  async nativeTime(text, count) {
    const batch = new Array(count).fill(text);
    const call = () => this.native.encodeBatch(batch);
    this.worker ??= await findWorker(() => this.native.encode('one two '.repeat(20000)));
    const now = () => Number(fs.readFileSync(`/proc/self/task/${this.worker}/schedstat`, 'utf8').split(' ')[0]);
    const before = now();
    await call();
    return now() - before;
  }

  // CPU time per encoding in nanoseconds, {ours, native}: the medians of `rounds` turns.
  async time(i, rounds) {
    const {text} = this.texts[i];
    const size = (ns) => Math.max(1, Math.min(5000, Math.ceil(kNsPerCall / Math.max(ns, 1))));
    await this.ours.time(i, 1);
    await this.nativeTime(text, 1);
    const ourCount = size(await this.ours.time(i, 3) / 3);
    const nativeCount = size(await this.nativeTime(text, 3) / 3);
    const turns = {ours: [], native: []};
    for (let k = 0; k < rounds; ++k) {
      turns.ours.push(await this.ours.time(i, ourCount) / ourCount);
      turns.native.push(await this.nativeTime(text, nativeCount) / nativeCount);
    }
    const median = (xs) => xs.sort((a, b) => a - b)[xs.length >> 1];
    return {ours: median(turns.ours), native: median(turns.native)};
  }

  // The same of one encoding each (of long texts), {ours, keeping, native}: Tessera, Tessera with
  // memory that is kept from an encoding before, and null or the native library.
  async timeOnce(i, asksNative) {
    const ours = await this.ours.time(i, 1);
    await this.keeping.time(i, 1);
    const keeping = await this.keeping.time(i, 1);
    return {ours, keeping, native: asksNative ? await this.nativeTime(this.texts[i].text, 1) : null};
  }

  end() {
    this.ours.end();
    this.keeping.end();
  }
}
