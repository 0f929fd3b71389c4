#!/usr/bin/python3
"""make_cases.py OUT : our own cases, in the form of shared/cases: directories and inputs below OUT, and OUT/cases.json.

Three and more of each kind that shared/cases has. What is right is computed here, by reference.py in float64 and the rules
of transformers 4.57 and sentence-transformers 5 that each case names; never by Tessera. Needs python3-numpy."""
import json, os, sys
import numpy as np
import reference as ref
from builder import *

CASES = []
T1 = bert_tensors(1)
DOCS = ['tea', 'how to brew tea in a pot at home', 'the stock market fell sharply on monday', 'coffee beans roasted dark',
        'a kettle of boiling water', 'pour hot water over the leaves and wait']
QUERY = 'tea in the morning'
PAIRS = [('how to brew tea', 'pour hot water over the leaves'), ('how to brew tea', 'the stock market fell'), ('how to brew tea', 'tea')]
LONG = 'the coffee market fell and the hot water wait on monday morning ' * 5     # 60 words
CLS, SEP = VOCAB['[CLS]'], VOCAB['[SEP]']


def case(kind, id, does, right, says, obtained, first=None):
    CASES.append({'id': f'{kind}/{id}', **({'first': first} if first else {}), 'does': does,
                  'right': right if right[0].keys() & {'exit', 'any'} else [{'exit': 0}] + right, 'says': says, 'obtained': obtained})


def numbers(x):
    return np.asarray(x).round(9).tolist()


def ids_of(text, limit=None, **how):
    ids = ref.wordpiece(VOCAB, text, **how)
    return [CLS] + (ids[:limit - 2] if limit else ids) + [SEP]


def embed(text, limit=32, tensors=T1, normalize=True, skip=0, ids=None):
    """Mean pooling; the first `skip` tokens are left out of it."""
    ids = ids or ids_of(text, limit)
    x = ref.bert(tensors, ids, [0] * len(ids), HEADS, LAYERS)[skip:].mean(0)
    return ref.unit(x) if normalize else x


def ranked(score, k=5):
    order = sorted(range(len(DOCS)), key=lambda i: -score[i])[:k]
    return [[[i + 1, round(float(score[i]), 7)] for i in order]]


def pair_logits(tensors, pairs=PAIRS, types=(0, 1)):
    out = []
    for a, b in pairs:
        a, b = ([i for i in ids_of(x)[1:-1]] for x in (a, b))
        ids = [CLS] + a + [SEP] + b + [SEP]
        out.append(ref.bert_logits(tensors, ids, [types[0]] * (len(a) + 2) + [types[1]] * (len(b) + 1), HEADS, LAYERS))
    return np.array(out)


def rerankers(b):
    t = head(bert_tensors(2, 'bert.'), 1, 3, scale=2., bias=1.)
    z = pair_logits(t)[:, 0]
    saves = 'numpy in float64; CrossEncoder: activation_fn of config.json["sentence_transformers"], else the old key, else Sigmoid of one label'
    new = lambda name: {'sentence_transformers': {'activation_fn': name, 'version': '5.1.0'}}
    old = lambda name: {'sbert_ce_default_activation_function': name}
    for id, config, want, says in (
            ('tanh-new-key', new('torch.nn.modules.activation.Tanh'), np.tanh(z), 'the tanh, named by the new key'),
            ('relu-old-key', old('torch.nn.modules.activation.ReLU'), np.maximum(z, 0), 'the ReLU, named by the old key'),
            ('short-name', new('torch.nn.Identity'), z, 'torch.nn.Identity is imported as well as its long name'),
            ('short-name-old-key', old('torch.nn.Sigmoid'), ref.sigmoid(z), 'the sigmoid by its short name'),
            ('both-keys', {**new('torch.nn.modules.linear.Identity'), **old('torch.nn.modules.activation.Sigmoid')}, z,
             'both keys: the new one counts'),
            ('both-keys-turned', {**old('torch.nn.modules.linear.Identity'), **new('torch.nn.modules.activation.Sigmoid')}, ref.sigmoid(z),
             'both keys in the other order of the file, with the values turned'),
            ('section-without-key', {'sentence_transformers': {'version': '4.0.0'}}, ref.sigmoid(z),
             'a section that names no activation leaves the sigmoid'),
            ('null-old-key', {'sbert_ce_default_activation_function': None}, ref.sigmoid(z), 'null names nothing')):
        b.classifier('rerank-' + id, ['LABEL_0'], t, config)
        case('reranker', id, f'{{tessera}} classify {{cases}}/rerank-{id} --pairs {{cases}}/pairs.tsv --format jsonl',
             [{'field': 'score', 'is': numbers(want), 'within': 2e-5}], says, saves)
    for id, bias in (('very-low', -60.), ('low-bias', -25.), ('high-bias', 13.)):
        t = head(bert_tensors(2, 'bert.'), 1, 3, scale=.5, bias=bias)
        z = pair_logits(t)[:, 0]
        b.classifier('digits-' + id, ['LABEL_0'], t)
        case('digits', id, f'{{tessera}} classify {{cases}}/digits-{id} --pairs {{cases}}/pairs.tsv',
             [{'column': 1, 'order_of': numbers(z)}], f'logits {z.round(3)}: the printed scores sort as the logits do', 'numpy in float64')


def close_probabilities(b):
    t = head(bert_tensors(2, 'bert.'), 2, 6, scale=3.)
    t['classifier.bias'] = np.array([14., -2.], np.float32)
    p = [ref.softmax(ref.bert_logits(t, ids_of(x), [0] * len(ids_of(x)), HEADS, LAYERS))[0] for x in DOCS]
    b.classifier('digits-softmax', ['yes', 'no'], t)
    case('digits', 'softmax-near-1', '{tessera} classify {cases}/digits-softmax {cases}/docs.txt', [{'column': 2, 'order_of': [float(x) for x in p]}],
         f'probabilities {[1 - x for x in p]} below 1 are told apart', 'numpy in float64')


def truncation(b):
    labels = ['no', 'yes', 'maybe']
    t = head(bert_tensors(4, 'bert.'), 3, 5, scale=2.)

    def probabilities(limit, side='right'):
        ids = ids_of(LONG)
        if limit and len(ids) > limit:
            ids = [CLS] + (ids[1:-1][:limit - 2] if side == 'right' else ids[1:-1][2 - limit:]) + [SEP]
        p = ref.softmax(ref.bert_logits(t, ids, [0] * len(ids), HEADS, LAYERS))
        return [[{'label': labels[i], 'probability': float(p[i])} for i in np.argsort(-p)]]

    cut = {'direction': 'Right', 'max_length': 12, 'strategy': 'LongestFirst', 'stride': 0}
    bert = lambda **k: dict({'tokenizer_class': 'BertTokenizer', 'do_lower_case': True}, **k)
    rule = 'numpy in float64; a call of the tokenizer cuts at model_max_length, and at the position table where the pipeline is asked to'
    for id, files, limit, side, says in (
            ('leftover-only-first', {'tokenizer.json': tokenizer_json(truncation=dict(cut, strategy='OnlyFirst')),
                                     'tokenizer_config.json': bert(model_max_length=24)}, 24, 'right', 'the left-over truncation to 12 does not count, 24 does'),
            ('leftover-no-config', {'tokenizer.json': tokenizer_json(truncation=cut), 'tokenizer_config.json': bert()}, POSITIONS, 'right',
             'no limit but the position table'),
            ('leftover-padding', {'tokenizer.json': tokenizer_json(padding={'strategy': {'Fixed': 38}, 'direction': 'Left', 'pad_to_multiple_of': None,
                                                                           'pad_id': 0, 'pad_type_id': 0, 'pad_token': '[PAD]'}),
                                  'tokenizer_config.json': bert(model_max_length=20)}, 20, 'right', 'a left-over padding changes nothing'),
            ('left-side', {'tokenizer_config.json': bert(model_max_length=20, truncation_side='left')}, 20, 'left', 'the beginning is cut off'),
            ('max-len', {'tokenizer_config.json': bert(max_len=18)}, 18, 'right', 'max_len is the older name of model_max_length'),
            ('max-len-and-new', {'tokenizer_config.json': bert(max_len=18, model_max_length=26)}, 26, 'right', 'beside the newer name it does not count'),
            ('above-positions', {'tokenizer_config.json': bert(model_max_length=4096)}, POSITIONS, 'right', 'the position table is smaller')):
        b.classifier('cut-' + id, labels, t, files=files)
        case('truncation', id, f'{{tessera}} classify {{cases}}/cut-{id} {{cases}}/long.txt --format jsonl --top-k 3',
             [{'field': 'labels', 'is': probabilities(limit, side), 'within': 2e-5}], says, rule)
    # embeddings: max_seq_length of sentence_bert_config.json
    for id, files, limit, says in (
            ('seq-below-model', {'tokenizer_config.json': bert(model_max_length=30), 'sentence_bert_config.json': {'max_seq_length': 14}}, 14,
             'max_seq_length is smaller'),
            ('seq-above-model', {'tokenizer_config.json': bert(model_max_length=14), 'sentence_bert_config.json': {'max_seq_length': 30}}, 30,
             'max_seq_length is larger and counts all the same'),
            ('seq-null', {'tokenizer_config.json': bert(model_max_length=22), 'sentence_bert_config.json': {'max_seq_length': None}}, 22,
             'null: the smaller of model_max_length and the position table')):
        b.text('embed-' + id, files)
        case('truncation', id, f'{{tessera}} embed {{cases}}/embed-{id} {{cases}}/long.txt',
             [{'field': 'embedding', 'is': [numbers(embed(LONG, limit))], 'within': 2e-5}, {'stderr': ['cut|trunc', str(limit)]}], says,
             'numpy in float64; models/Transformer.py of sentence-transformers')


def said(b):
    b.text('said')
    edge = ' '.join(WORDS[:30])                     # 32 tokens with [CLS] and [SEP]
    write(b.out + '/edge.txt', edge + '\n')
    write(b.out + '/over.txt', edge + ' tea\n')
    exact = [{'field': 'embedding', 'is': [numbers(embed(edge))], 'within': 2e-5}]
    case('said', 'exactly-the-limit', '{tessera} embed {cases}/said {cases}/edge.txt', exact + [{'stderr_is_empty': True}],
         'a text of exactly max_seq_length tokens is not cut: nothing is said', 'numpy in float64')
    case('said', 'one-over', '{tessera} embed {cases}/said {cases}/over.txt', exact + [{'stderr': ['cut|trunc', '32']}],
         'one token more is cut, to the same vector, and that is said', 'numpy in float64')
    case('said', 'one-of-the-index', f'{{tessera}} search {{cases}}/said --index {{cases}}/over.txt "{QUERY}" --format jsonl',
         [{'lines': 1}, {'stderr': ['cut|trunc', '32']}], 'a cut text of the index is said, too', 'asked of the program: no number')


def similarities(b):
    q, d = embed(QUERY, normalize=False), np.array([embed(x, normalize=False) for x in DOCS])
    config = lambda **k: {'__version__': {'sentence_transformers': '5.0.0'}, 'prompts': {}, 'default_prompt_name': None, **k}
    file = 'config_sentence_transformers.json'
    by_dot, cosine = d @ q, (d @ q) / np.linalg.norm(d, axis=1) / np.linalg.norm(q)
    for id, files, score, says in (
            ('euclidean', {file: config(similarity_fn_name='euclidean')}, -np.linalg.norm(d - q, axis=1), 'minus the euclidean distance'),
            ('manhattan', {file: config(similarity_fn_name='manhattan')}, -np.abs(d - q).sum(1), 'minus the sum of differences'),
            ('null', {file: config(similarity_fn_name=None)}, cosine, 'null: cosine'),
            ('absent', {file: config()}, cosine, 'no key: cosine'),
            ('dot-max-pooling', {file: config(similarity_fn_name='dot'), '1_Pooling/config.json': {
                'word_embedding_dimension': H, 'pooling_mode_mean_tokens': False, 'pooling_mode_max_tokens': True}}, None,
             'dot products of vectors pooled by their maximum')):
        if score is None:
            top = lambda x: ref.bert(T1, ids_of(x), [0] * len(ids_of(x)), HEADS, LAYERS).max(0)
            score = np.array([top(x) for x in DOCS]) @ top(QUERY)
        b.text('similarity-' + id, files, normalize=False)
        case('similarity', id, f'{{tessera}} search {{cases}}/similarity-{id} -q --index {{cases}}/docs.txt "{QUERY}" --format jsonl',
             [{'hits': ranked(score), 'within': 2e-5}], says, 'numpy in float64; util/similarity.py of sentence-transformers')


def prompts(b):
    file = 'config_sentence_transformers.json'
    config = lambda prompts, **k: {'__version__': {'sentence_transformers': '5.0.0'}, 'prompts': prompts, 'similarity_fn_name': None, **k}
    rank = lambda q, d: ranked(np.array([embed(d + x) for x in DOCS]) @ embed(q + QUERY))
    q, p, c = 'search query : ', 'passage : ', 'title : '
    search = lambda id: f'{{tessera}} search {{cases}}/prompt-{id} -q --index {{cases}}/docs.txt "{QUERY}" --format jsonl'
    rule = 'numpy in float64; encode_query takes "query", encode_document the first of document, passage, corpus, both else the default'
    for id, files, hits, says in (
            ('passage', {file: config({'query': q, 'passage': p})}, rank(q, p), 'no document: passage goes before indexed texts'),
            ('corpus', {file: config({'corpus': c, 'query': q})}, rank(q, c), 'corpus, where it is the only one'),
            ('document-first', {file: config({'corpus': c, 'passage': p, 'document': 'document : '})}, rank('', 'document : '),
             'document wins over the others, whatever the order of the file; no query prompt, no default'),
            ('default-for-both', {file: config({'retrieval': q}, default_prompt_name='retrieval')}, rank(q, q),
             'neither query nor document: the default goes before both'),
            ('empty-document-and-default', {file: config({'query': q, 'document': ''}, default_prompt_name='query')}, rank(q, ''),
             'an empty document prompt is one: the default does not go before indexed texts'),
            ('query-and-default', {file: config({'query': q, 'other': p}, default_prompt_name='other')}, rank(q, p),
             'query for queries, the default for the rest')):
        b.text('prompt-' + id, files)
        case('prompts', id, search(id), [{'hits': hits, 'within': 2e-5}], says, rule)
    b.text('prompt-embed', {file: config({'a': q, 'b': p}, default_prompt_name='b')})
    case('prompts', 'default-in-embed', '{tessera} embed {cases}/prompt-embed {cases}/docs.txt',
         [{'field': 'embedding', 'is': numbers([embed(p + x) for x in DOCS]), 'within': 2e-5}], 'encode() puts the default prompt before texts', rule)
    case('prompts', 'unknown-name', '{tessera} embed {cases}/prompt-embed {cases}/docs.txt --prompt-name c', [{'exit': 'not 0'}, {'stderr': ['"?c"?', 'a', 'b']}],
         'a prompt that the files do not have is refused', rule)
    n = len(ids_of(q)) - 1                              # [CLS] and the prompt; not [SEP]
    b.text('prompt-left-out', {file: config({'query': q}, default_prompt_name='query'), '1_Pooling/config.json': dict(POOLING, include_prompt=False)})
    case('prompts', 'include-prompt-false', '{tessera} embed {cases}/prompt-left-out {cases}/docs.txt',
         [{'exit': 0}, {'field': 'embedding', 'is': numbers([embed(q + x, skip=n) for x in DOCS]), 'within': 2e-5}],
         'include_prompt false leaves the tokens of the prompt out of the mean', 'numpy in float64; models/Pooling.py')


def settings(b):
    bert = lambda **k: dict({'tokenizer_class': 'BertTokenizer', 'do_lower_case': True}, **k)
    added = lambda content, **k: dict({'content': content, 'lstrip': False, 'normalized': False, 'rstrip': False, 'single_word': False,
                                       'special': True}, **k)
    v = lambda *tokens: [[CLS] + [VOCAB[t] if isinstance(t, str) else t for t in tokens] + [SEP]]
    write_json(b.out + '/accent.jsonl', {'text': 'Caf\u00e9 in Paris'})
    write_json(b.out + '/ideographs.jsonl', {'text': '\u4e2d\u6587 tea'})
    write_json(b.out + '/marks.jsonl', {'text': 'hot <q>tea <new> cup'})
    n = len(TOKENS)
    for id, files, text, ids, says in (
            ('strip-accents-false', {'tokenizer_config.json': bert(strip_accents=False)}, 'accent', v('caf\u00e9', 'in', 'paris'),
             'strip_accents false of tokenizer_config.json: lower case, accents stay'),
            ('cased-strips', {'tokenizer_config.json': bert(do_lower_case=False, strip_accents=True)}, 'accent', v('[UNK]', 'in', 'Paris'),
             'cased, accents stripped: "Cafe" is no token'),
            ('no-ideographs', {'tokenizer_config.json': bert(tokenize_chinese_chars=False)}, 'ideographs', v('\u4e2d\u6587', 'tea'),
             'tokenize_chinese_chars false: one word'),
            ('ideographs', {'tokenizer_config.json': bert()}, 'ideographs', v('\u4e2d', '\u6587', 'tea'), 'by default each is a word'),
            ('fast-class', {'tokenizer_config.json': dict(bert(do_lower_case=False), tokenizer_class='BertTokenizerFast')}, 'accent',
             v('Caf\u00e9', 'in', 'Paris'), 'the class by its other name'),
            ('default-lowers', {'tokenizer.json': tokenizer_json(normalizer=dict(tokenizer_json()['normalizer'], lowercase=False)),
                                'tokenizer_config.json': {'tokenizer_class': 'BertTokenizer'}}, 'accent', v('cafe', 'in', 'paris'),
             'BertTokenizer lowers unless do_lower_case says otherwise, whatever tokenizer.json has'),
            ('fast-base-class', {'tokenizer_config.json': {'tokenizer_class': 'PreTrainedTokenizerFast', 'do_lower_case': False}}, 'accent',
             v('cafe', 'in', 'paris'), 'PreTrainedTokenizerFast takes tokenizer.json as it is'),
            ('special-map', {'tokenizer_config.json': bert(), 'special_tokens_map.json': {'additional_special_tokens': ['<q>', {'content': '<new>', 'lstrip': False,
              'rstrip': False, 'single_word': False, 'normalized': False}]}}, 'marks', v('hot', '<q>', 'tea', n, 'cup'), 'special_tokens_map.json of older files'),
            ('added-new', {'tokenizer_config.json': bert(added_tokens_decoder={str(VOCAB['<q>']): added('<q>'), str(n): added('<new>')})}, 'marks',
             v('hot', '<q>', 'tea', n, 'cup'), 'added tokens of the decoder, one of the vocabulary, one behind it'),
            ('additional-special', {'tokenizer_config.json': bert(additional_special_tokens=['<q>', '<new>'])}, 'marks',
             v('hot', '<q>', 'tea', n, 'cup'), 'additional_special_tokens'),
            ('added-tokens-json', {'tokenizer_config.json': bert(), 'added_tokens.json': {'<new>': n}}, 'marks',
             None, 'added_tokens.json'),
            ('sentence-lower-case', {'tokenizer_config.json': bert(do_lower_case=False),
                                     'sentence_bert_config.json': {'max_seq_length': 32, 'do_lower_case': True}}, 'accent',
             None, 'do_lower_case of sentence_bert_config.json lowers the text before a cased tokenizer')):
        b.text('settings-' + id, files)
        if id == 'added-tokens-json':
            ids = v('hot', '[UNK]', '[UNK]', '[UNK]', 'tea', n, 'cup')        # "<", "q", ">"
        if id == 'sentence-lower-case':
            want = embed('', ids=v('caf\u00e9', 'in', 'paris')[0])
            case('settings', id, f'{{tessera}} embed {{cases}}/settings-{id} {{cases}}/{text}.jsonl',
                 [{'field': 'embedding', 'is': [numbers(want)], 'within': 2e-5}], says, 'numpy in float64; Transformer.tokenize()')
            continue
        case('settings', id, f'{{tessera}} tokens {{cases}}/settings-{id} --json {{cases}}/{text}.jsonl', [{'field': 'ids', 'is': ids}],
             says, 'by hand from the vocabulary; BertTokenizerFast.__init__ rewrites the normalizer, added tokens are cut out first')


def inputs(b):
    b.text('inputs')
    want = lambda *texts: [{'field': 'embedding', 'is': numbers([embed(t) for t in texts]), 'within': 2e-5}]
    for id, name, data, texts, says in (
            ('jsonl-crlf-blank', 'crlf.jsonl', b'{"text": "hot tea"}\r\n\r\n{"text": "cup"}\r\n', ('hot tea', 'cup'), 'a blank line that ends in CR LF is no input'),
            ('jsonl-spaces', 'spaces.jsonl', b'{"text": "hot tea"}\n  \t\n{"text": "cup"}', ('hot tea', 'cup'),
             'a line of blanks is no input; the last line needs no end'),
            ('jsonl-mark', 'mark.jsonl', b'\xef\xbb\xbf{"text": "hot tea"}\n', ('hot tea',), 'a byte order mark is not part of the first line'),
            ('jsonl-other-keys', 'keys.jsonl', b'{"n": 1, "text": "caf\\u0065 \\ud83d\\ude00", "x": {"text": "no"}}\n', None, 'escapes, other keys'),
            ('text-crlf', 'crlf.txt', b'hot tea\r\ncup\r\n', ('hot tea', 'cup'), 'CR LF ends a line of text'),
            ('text-mark', 'mark.txt', b'\xef\xbb\xbfhot tea\ncup', ('hot tea', 'cup'), 'a byte order mark in front of a text file'),
            ('ndjson', 'lines.ndjson', b'\n{"text": "cup"}\n\n', ('cup',), 'the same by the other name, blank lines first and last')):
        write(f'{b.out}/{name}', data)
        right = want(*texts) if texts else [{'field': 'embedding', 'is': [numbers(embed('', ids=[CLS, VOCAB['cafe'], VOCAB['[UNK]'], SEP]))], 'within': 2e-5}]
        case('inputs', id, f'{{tessera}} embed {{cases}}/inputs {{cases}}/{name}', right, says, 'numpy in float64; readers of JSON lines and of text files')


def types(b):
    """Pairs: type ids are given where the tokenizer gives them."""
    t = head(bert_tensors(2, 'bert.'), 1, 3, scale=2., bias=1.)
    zeros = pair_logits(t, types=(0, 0))[:, 0]
    given = pair_logits(t)[:, 0]
    identity = {'sentence_transformers': {'activation_fn': 'torch.nn.modules.linear.Identity'}}
    rule = 'numpy in float64; model_input_names of tokenizer_config.json, else those of the class'
    for id, config, z, says in (
            ('of-bert', {'tokenizer_class': 'BertTokenizer'}, given, 'BertTokenizer gives them'),
            ('not-of-distilbert', {'tokenizer_class': 'DistilBertTokenizerFast'}, zeros, 'DistilBertTokenizer gives none: all are 0'),
            ('not-by-names', {'tokenizer_class': 'BertTokenizer', 'model_input_names': ['input_ids', 'attention_mask']}, zeros,
             'model_input_names leaves them out'),
            ('by-names', {'tokenizer_class': 'DistilBertTokenizer', 'model_input_names': ['input_ids', 'token_type_ids', 'attention_mask']}, given,
             'model_input_names has them, whatever the class')):
        b.classifier('types-' + id, ['LABEL_0'], t, identity, {'tokenizer_config.json': config})
        case('types', id, f'{{tessera}} classify {{cases}}/types-{id} --pairs {{cases}}/pairs.tsv --format jsonl',
             [{'field': 'score', 'is': numbers(z), 'within': 2e-5}], says, rule)


def activations(b):
    """A CrossEncoder with several labels."""
    t = head(bert_tensors(2, 'bert.'), 3, 3, scale=2.)
    z = pair_logits(t)
    of = lambda name: {'sentence_transformers': {'activation_fn': 'torch.nn.modules.' + name}}
    best = lambda x: numbers([max(row) for row in x])
    softmax = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    for id, config, key, want, says in (
            ('identity', of('linear.Identity'), 'value', z, 'Identity gives the logits'),
            ('tanh', of('activation.Tanh'), 'value', np.tanh(z), 'Tanh of each'),
            ('none', {}, 'probability', softmax, 'nothing said: the softmax')):
        b.classifier('several-' + id, ['a', 'b', 'c'], t, config)
        case('activations', id, f"{{tessera}} classify {{cases}}/several-{id} --pairs {{cases}}/pairs.tsv --format jsonl | "
             f"sed 's/.*\"{key}\": \\([^}}]*\\).*/{{\"best\": \\1}}/'",
             [{'field': 'best', 'is': best(want), 'within': 2e-5}], says, 'numpy in float64; CrossEncoder.predict')
    b.classifier('several-other', ['a', 'b', 'c'], t, of('activation.Softplus'))
    case('activations', 'other', '{tessera} classify {cases}/several-other --pairs {cases}/pairs.tsv', [{'exit': 1}, {'stderr': ['activation_fn', 'Softplus']}],
         'another one is refused by name', 'asked of the program: no number')


def arguments(b):
    for id, files, words, says in (
            ('tokenizer', {'sentence_bert_config.json': {'max_seq_length': 32, 'tokenizer_args': {'do_lower_case': False}}}, ['tokenizer_args', 'do_lower_case'],
             'tokenizer_args change the tokenizer'),
            ('config', {'sentence_bert_config.json': {'config_args': {'num_hidden_layers': 1}}}, ['config_args', 'num_hidden_layers'], 'config_args change the model'),
            ('code', {'config.json': bert_config(auto_map={'AutoTokenizer': ['tokenization_x.X', None]})}, ['auto_map', 'tokenization_x'],
             'a tokenizer of its own, named in config.json')):
        b.text('arguments-' + id, files)
        case('arguments', id, f'echo tea | {{tessera}} embed {{cases}}/arguments-{id}', [{'exit': 1}, {'stderr': words}], says, 'asked of the program: no number')
    b.text('arguments-none', {'sentence_bert_config.json': {'max_seq_length': 32, 'do_lower_case': False, 'tokenizer_args': {}, 'model_args': {'attn_implementation': 'sdpa'}}})
    case('arguments', 'none', 'echo tea | {tessera} embed {cases}/arguments-none', [{'field': 'embedding', 'is': [numbers(embed('tea'))], 'within': 2e-5}],
         'empty ones, and those that change no number', 'numpy in float64')


def lines(b):
    b.text('lines')
    want = [{'field': 'embedding', 'is': numbers([embed(t) for t in ('hot tea', 'cup')]), 'within': 2e-5}]
    for id, name, data, says in (
            ('cr', 'cr.txt', b'hot tea\rcup\r', 'lines that end in CR alone'),
            ('cr-table', 'cr.csv', b'n,text\r1,hot tea\r2,cup\r', 'a table of such lines'),
            ('capitals', 'UP.CSV', b'text\nhot tea\ncup\n', 'the letters of an ending have no case'),
            ('pointer', 'pointer.txt', POINTER.encode(), 'a Git LFS pointer is no text')):
        write(f'{b.out}/{name}', data)
        right = [{'exit': 1}, {'stderr': ['Git LFS pointer']}] if id == 'pointer' else want
        case('lines', id, f'{{tessera}} embed {{cases}}/lines {{cases}}/{name}', right, says, 'numpy in float64')


POINTER = 'version https://git-lfs.github.com/spec/v1\noid sha256:' + '0' * 64 + '\nsize 466062\n'


def unreadable(b):
    def refused(id, name, words, says, command='echo tea | {tessera} embed'):
        case('unreadable', id, f'{command} {{cases}}/{name}', [{'exit': 1}, {'stderr': words}], says, 'asked of the program: no number')

    for file in ('modules.json', '1_Pooling/config.json', 'sentence_bert_config.json', 'tokenizer_config.json', 'model.safetensors',
                 'config_sentence_transformers.json', 'special_tokens_map.json'):
        id = file.replace('/', '-').replace('.', '-')
        b.text('pointer-' + id, {file: POINTER})
        refused('pointer-' + id, 'pointer-' + id, [file.split('/')[-1].replace('.', '\\.'), 'lfs'], f'{file} is a pointer of Git LFS: said so')
        if file == 'model.safetensors':
            continue
        d = b.text('link-' + id, drop=(file,))
        os.makedirs(os.path.dirname(f'{d}/{file}'), exist_ok=True)
        os.symlink('../blobs/0123456789abcdef', f'{d}/{file}')
        refused('link-' + id, 'link-' + id, [file.split('/')[-1].replace('.', '\\.')], f'{file} is a link to nothing: not the same as absent')
    for id, file, text, words, drop in (
            ('vocab-txt', 'vocab.txt', POINTER, 'lfs', ('tokenizer.json',)),
            ('index', 'model.safetensors.index.json', POINTER, 'lfs', ('model.safetensors',)),
            ('bin', 'pytorch_model.bin', POINTER, 'lfs', ('model.safetensors',)),
            ('added-tokens', 'added_tokens.json', POINTER, 'lfs', ()),
            ('spiece', 'sentencepiece.bpe.model', POINTER, 'lfs', ('tokenizer.json', 'vocab.txt')),
            ('crlf', 'tokenizer.json', POINTER.replace('\n', '\r\n'), 'lfs', ()),
            ('page-config', 'config.json', '<html>404</html>', 'html|web page', ()),
            ('page-weights', 'model.safetensors', '<!doctype html><html></html>', 'html|web page', ()),
            ('empty-tokenizer', 'tokenizer.json', '', 'empty|0 bytes', ()),
            ('empty-modules', 'modules.json', '', 'empty|0 bytes|json', ())):
        more = {'tokenizer_config.json': {'tokenizer_class': 'XLMRobertaTokenizer'}} if id == 'spiece' else {}
        b.text('stands-in-' + id, {file: text, **more}, drop=drop)
        refused('stands-in-' + id, 'stands-in-' + id, [file.replace('.', '\\.'), words], f'{file} is there but something else')
    shards = {'metadata': {}, 'weight_map': {n: 'model-00001-of-00001.safetensors' for n in T1}}
    for id, files in (('pointer', {'model-00001-of-00001.safetensors': POINTER}), ('missing', {})):
        b.text('shard-' + id, {'model.safetensors.index.json': shards, **files}, drop=('model.safetensors',))
        refused('shard-' + id, 'shard-' + id, ['model-00001-of-00001\\.safetensors'] + ['lfs'] * len(files), 'a shard that is not what the index says')
    d = b.text('folder-for-file', drop=('1_Pooling/config.json',))
    os.makedirs(d + '/1_Pooling/config.json')
    refused('folder-for-file', 'folder-for-file', ['config\\.json', 'directory'], 'a directory under the name of a file')
    d = b.text('circle', drop=('tokenizer.json', 'vocab.txt'))
    os.symlink('vocab.txt', d + '/tokenizer.json')
    os.symlink('tokenizer.json', d + '/vocab.txt')
    refused('circle', 'circle', ['tokenizer\\.json'], 'links in a circle')
    b.text('web-page', {'tokenizer.json': '<!DOCTYPE html>\n<html><head><title>404</title></head></html>\n'})
    refused('web-page', 'web-page', ['tokenizer\\.json', 'html|web page'], 'a web page under the name of a file')
    for other in ('tf_model.h5', 'flax_model.msgpack', 'model.onnx'):
        id = other.replace('.', '-')
        b.text('only-' + id, {other: b'\x89HDF\r\n\x1a\n'}, drop=('model.safetensors',))
        refused('only-' + id, 'only-' + id, [other.replace('.', '\\.'), 'safetensors'], 'the file that is there is named, and the one that is wanted', '{tessera} info')
    b.text('cut-weights', {'model.safetensors': safetensors(T1)[:5000]})
    refused('cut-weights', 'cut-weights', ['model\\.safetensors', 'expected'], 'weights that end early', '{tessera} info')


def images(b):
    labels = ['L0', 'L1', 'L2', 'L3']
    t = vit_tensors(7, 4)
    rgb = np.random.RandomState(8).randint(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    big = np.random.RandomState(9).randint(0, 256, (SIDE + 4, SIDE + 8, 3)).astype(np.uint8)
    write(b.out + '/small.png', png(rgb))
    write(b.out + '/named.jpg', bmp(rgb))
    write(b.out + '/big.png', png(big))
    twice, quarter = np.random.RandomState(10).randint(0, 256, (2 * SIDE, 2 * SIDE, 3)).astype(np.uint8), rgb[:SIDE // 2, :SIDE // 2]
    write(b.out + '/twice.png', png(twice))
    write(b.out + '/quarter.png', png(quarter))

    def right(rgb, mean=(.5, .5, .5), std=(.5, .5, .5), factor=1 / 255):
        x = rgb.astype(np.float64) * factor
        x = ((x - mean) / std).transpose(2, 0, 1)
        p = ref.softmax(ref.vit_logits(t, x, PATCH, HEADS, LAYERS))
        return [{'field': 'labels', 'is': [[{'label': labels[i], 'probability': float(p[i])} for i in np.argsort(-p)]], 'within': 5e-5}]

    base = {'do_normalize': True, 'do_rescale': True, 'do_resize': True, 'image_mean': [.5] * 3, 'image_std': [.5] * 3,
            'image_processor_type': 'ViTImageProcessor', 'resample': 2, 'rescale_factor': 1 / 255, 'size': {'height': SIDE, 'width': SIDE}}
    stale = dict(base, image_mean=[.1, .2, .3], image_std=[.25] * 3)
    without = lambda *keys: {k: v for k, v in base.items() if k not in keys}
    one, two = 'preprocessor_config.json', 'processor_config.json'
    crop = big[2:2 + SIDE, 4:4 + SIDE]
    for id, files, image, want, says in (
            ('nested-with-others', {one: stale, two: {'feature_extractor': None, 'image_processor': base, 'tokenizer': {'x': 1}}}, 'small.png', right(rgb),
             'image_processor of processor_config.json wins, whatever stands beside it'),
            ('only-nested', {two: {'image_processor': stale}}, 'small.png', right(rgb, (.1, .2, .3), (.25,) * 3), 'no preprocessor_config.json at all'),
            ('nested-null', {one: stale, two: {'image_processor': None}}, 'small.png', right(rgb, (.1, .2, .3), (.25,) * 3), 'null is no image_processor'),
            ('no-normalize', {one: dict(base, do_normalize=False)}, 'small.png', right(rgb, (0, 0, 0), (1, 1, 1)), 'do_normalize false'),
            ('no-rescale', {one: dict(base, do_rescale=False, image_mean=[127.5] * 3, image_std=[127.5] * 3)}, 'small.png',
             right(rgb, (127.5,) * 3, (127.5,) * 3, 1), 'do_rescale false, mean and deviation in bytes'),
            ('half-factor', {one: dict(base, rescale_factor=1 / 127.5, image_mean=[1.] * 3, image_std=[1.] * 3)}, 'small.png',
             right(rgb, (1,) * 3, (1,) * 3, 1 / 127.5), 'rescale_factor 1/127.5'),
            ('old-names', {one: dict(without('image_processor_type', 'rescale_factor', 'do_rescale', 'size'), feature_extractor_type='ViTFeatureExtractor',
                                     size=SIDE)}, 'small.png', right(rgb), 'feature_extractor_type and a size that is one number'),
            ('content-not-name', {one: base}, 'named.jpg', right(rgb), 'a BMP called .jpg is told by its content'),
            ('nearest', {one: dict(base, resample=0)}, 'twice.png', right(twice[1::2, 1::2]), 'resample 0: the nearest pixel of twice the size'),
            ('crop-pads', {one: {'do_resize': False, 'do_center_crop': True, 'crop_size': SIDE, 'image_mean': [.5] * 3, 'image_std': [.5] * 3,
                                 'image_processor_type': 'CLIPImageProcessor'}}, 'quarter.png', right(np.pad(quarter, ((2, 2), (2, 2), (0, 0)))),
             'a crop larger than the image: zeros around it'),
            ('crop', {one: {'do_normalize': True, 'do_rescale': True, 'do_resize': False, 'do_center_crop': True, 'crop_size': {'height': SIDE, 'width': SIDE},
                            'image_mean': [.5] * 3, 'image_std': [.5] * 3, 'image_processor_type': 'CLIPImageProcessor', 'do_convert_rgb': True}},
             'big.png', right(crop), 'no resizing, the centre is cut out')):
        d = f'{b.out}/image-{id}'
        for f, data in {'config.json': vit_config(labels), **files}.items():
            write_json(f'{d}/{f}', data)
        write(d + '/model.safetensors', safetensors(t))
        case('images', id, f'{{tessera}} classify {{cases}}/image-{id} {{cases}}/{image} --format jsonl --top-k 4', want, says,
             'numpy in float64 on the pixels that were written; image_processing_*.py of transformers')
    clip(b, rgb)


    for file in (one, two):
        d = f'{b.out}/image-pointer-{file.split("_")[0]}'
        for f, data in {'config.json': vit_config(labels), one: base}.items():
            write_json(f'{d}/{f}', data)
        write(f'{d}/{file}', POINTER)
        write(d + '/model.safetensors', safetensors(t))
        case('images', f'pointer-{file.split("_")[0]}', f'{{tessera}} classify {{cases}}/image-pointer-{file.split("_")[0]} {{cases}}/small.png',
             [{'exit': 1}, {'stderr': [file.replace('.', '\\.'), 'lfs']}], f'{file} is a pointer of Git LFS: said so', 'asked of the program: no number')


def clip(b, rgb):
    projection = 12
    t = clip_tensors(11, projection)
    processor = {'image_processor_type': 'CLIPImageProcessor', 'size': {'shortest_edge': SIDE}, 'do_center_crop': True,
                 'crop_size': {'height': SIDE, 'width': SIDE}, 'resample': 3, 'do_convert_rgb': True, 'image_mean': [.48145466, .4578275, .40821073],
                 'image_std': [.26862954, .26130258, .27577711]}
    close = np.array(t['text_model.embeddings.token_embedding.weight'])
    close[[11, 12]] = close[10] + np.float32(2e-6) * np.arange(1, 3, dtype=np.float32)[:, None] * np.sign(close[13])
    t['text_model.embeddings.token_embedding.weight'] = close
    x = ((rgb / 255. - processor['image_mean']) / processor['image_std']).transpose(2, 0, 1)
    vector = ref.clip_image(t, x, PATCH, HEADS, LAYERS)

    def directory(name, inner, modules, files):
        d = f'{b.out}/{name}'
        write_json(d + '/modules.json', modules)
        write_json(d + '/config_sentence_transformers.json', {'__version__': {'sentence_transformers': '2.0.0'}})
        d = f'{d}/{inner}' if inner else d
        for f, data in {'config.json': clip_config(projection), **files}.items():
            write_json(f'{d}/{f}', data)
        write(d + '/model.safetensors', safetensors(t))

    one, two = 'preprocessor_config.json', 'processor_config.json'
    norm = module(1, 'Normalize', '1_Normalize')
    for id, inner, modules, files, want, says in (
            ('no-folder', '', [module(0, 'CLIPModel', '')], {one: processor}, vector, 'the module stands in the directory itself'),
            ('then-normalize', '0_CLIPModel', [module(0, 'CLIPModel', '0_CLIPModel'), norm], {one: processor}, ref.unit(vector),
             'a Normalize module behind it: length 1'),
            ('other-folder', 'clip', [module(0, 'CLIPModel', 'clip')], {one: dict(processor, image_mean=[.5] * 3), two: {'image_processor': processor}}, vector,
             'a folder of another name, its processor nested'),
            ('old-extractor', '0_CLIPModel', [module(0, 'CLIPModel', '0_CLIPModel')],
             {one: dict({k: v for k, v in processor.items() if k != 'image_processor_type'}, feature_extractor_type='CLIPFeatureExtractor', size=SIDE, crop_size=SIDE)},
             vector, 'the keys of older files, sizes that are one number')):
        directory('clip-' + id, inner, modules, files)
        case('clip', id, f'{{tessera}} embed {{cases}}/clip-{id} {{cases}}/small.png', [{'field': 'embedding', 'is': [numbers(want)], 'within': 1e-4}], says,
             'numpy in float64 on the pixels that were written; models/CLIPModel.py of sentence-transformers')


    texts = [[2, k, 3] for k in (10, 11, 12)]
    logits = [float(np.exp(2.6592) * ref.unit(ref.clip_text(t, x, 3, HEADS, LAYERS)) @ ref.unit(vector)) for x in texts]
    args = ' '.join(f"'{' '.join(map(str, x))}'" for x in texts)
    case('digits', 'similar-logits', f'{{tessera}} similar {{cases}}/clip-old-extractor/0_CLIPModel --image {{cases}}/small.png --ids --text {args}',
         [{'column': 3, 'order_of': sorted(logits, reverse=True)}], f'logits {logits}, the best first: printed so that they are told apart', 'numpy in float64')


def main(out):
    b = Builder(out)
    os.makedirs(b.out, exist_ok=True)
    write(b.out + '/pairs.tsv', ''.join(f'{x}\t{y}\n' for x, y in PAIRS))
    write(b.out + '/docs.txt', '\n'.join(DOCS) + '\n')
    write(b.out + '/long.txt', LONG + '\n')
    for kind in (rerankers, close_probabilities, truncation, said, similarities, prompts, settings, inputs, types, activations, arguments, lines, unreadable, images):
        kind(b)
    write_json(b.out + '/cases.json', {'about': 'by tests/cases/make_cases.py', 'cases': CASES})


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
