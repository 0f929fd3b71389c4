// The tokenizers of shared/tokenizers, each in a directory that both libraries can read.
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';

const kXlmR = 'xlmr-paraphrase-multilingual-mpnet-base-v2';

// name → how its tokens are made, for people
export const kKinds = {
  'bert-base-uncased': 'WordPiece',
  'bert-base-cased': 'WordPiece, cased, of a vocab.txt',
  'all-MiniLM-L6-v2': 'WordPiece',
  'bert-multilingual-uncased': 'WordPiece, 105,879 tokens',
  'roberta-base': 'byte-level BPE',
  '20B_tokenizer': 'byte-level BPE, NFC (GPT-NeoX)',
  'modernbert-like': 'byte-level BPE, NFC',
  'phi-3-mini': 'BPE of characters, byte fallback, no words',
  [kXlmR]: 'Unigram, WhitespaceSplit and Metaspace',
  'xlmr-replace-metaspace': 'Unigram, Metaspace alone',
  't5-small': 'Unigram',
};

// What BertTokenizer makes of a vocab.txt with do_lower_case false, for the native library, which
// reads no vocab.txt with settings beside it.
function casedJson(vocabulary) {
  const vocab = Object.fromEntries(vocabulary.split('\n').filter((t) => t !== '').map((t, i) => [t, i]));
  const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
  const end = (name) => ({SpecialToken: {id: name, type_id: 0}});
  return {
    version: '1.0', truncation: null, padding: null,
    added_tokens: special.map((content) => ({
      id: vocab[content], content, single_word: false, lstrip: false, rstrip: false,
      normalized: false, special: true,
    })),
    normalizer: {type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true,
      strip_accents: null, lowercase: false},
    pre_tokenizer: {type: 'BertPreTokenizer'},
    post_processor: {type: 'TemplateProcessing',
      single: [end('[CLS]'), {Sequence: {id: 'A', type_id: 0}}, end('[SEP]')],
      pair: [end('[CLS]'), {Sequence: {id: 'A', type_id: 0}}, end('[SEP]'), {Sequence: {id: 'B', type_id: 1}}],
      special_tokens: Object.fromEntries(['[CLS]', '[SEP]'].map(
        (t) => [t, {id: t, ids: [vocab[t]], tokens: [t]}]))},
    decoder: null,
    model: {type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##',
      max_input_chars_per_word: 100, vocab},
  };
}

// The second form of XLM-R, as xlmr-replace-metaspace.patch.json says it.
function withReplaceAndMetaspace(json) {
  const replace = {type: 'Replace', pattern: {Regex: ' {2,}'}, content: ' '};
  return {...json, truncation: null, padding: null,
    normalizer: {type: 'Sequence', normalizers: [json.normalizer, replace]},
    pre_tokenizer: {type: 'Metaspace', replacement: '\u2581', add_prefix_space: true}};
}

function readJson(directory) {
  const packed = path.join(directory, 'tokenizer.json.gz');
  const bytes = fs.existsSync(packed) ? zlib.gunzipSync(fs.readFileSync(packed))
    : fs.readFileSync(path.join(directory, 'tokenizer.json'));
  return JSON.parse(bytes);
}

// Makes work/NAME/ours and work/NAME/native, and returns them.
export function prepare(shared, name, work) {
  const files = path.join(shared, 'files');
  const ours = path.join(work, name, 'ours');
  const native = path.join(work, name, 'native');
  for (const folder of [ours, native]) fs.mkdirSync(folder, {recursive: true});
  if (name === 'bert-base-cased') {
    const vocabulary = fs.readFileSync(path.join(files, name, 'vocab.txt'), 'utf8');
    fs.writeFileSync(path.join(ours, 'vocab.txt'), vocabulary);
    fs.writeFileSync(path.join(ours, 'tokenizer_config.json'), '{"do_lower_case": false}');
    fs.writeFileSync(path.join(native, 'tokenizer.json'), JSON.stringify(casedJson(vocabulary)));
    return {ours, native};
  }
  const second = name === 'xlmr-replace-metaspace';
  const json = readJson(path.join(files, second ? kXlmR : name));
  const text = JSON.stringify(second ? withReplaceAndMetaspace(json) : json);
  for (const folder of [ours, native]) fs.writeFileSync(path.join(folder, 'tokenizer.json'), text);
  return {ours, native};
}
