"""Writes the small model directories: random weights of tiny encoders, a vocabulary of some words."""
import json, os, struct, zlib
import numpy as np

WORDS = ('the a tea how to brew in pot at home stock market fell sharply on monday coffee beans roasted dark kettle of boiling '
         'water pour hot over leaves and wait cup morning query document passage search title : , . ! ? one two three four five '
         'six seven eight nine ten paris cafe hello world').split()
TOKENS = (['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'] + WORDS + ['##s', '##ing', '##ed', 'Paris', 'caf\u00e9', 'Caf\u00e9',
          '\u4e2d', '\u6587', '\u4e2d\u6587', '##\u6587', '[unused0]', '<q>', 'z\u00fcrich', 'zurich'])
VOCAB = {t: i for i, t in enumerate(TOKENS)}
H, HEADS, LAYERS, FF, POSITIONS = 16, 2, 2, 32, 40
TYPES = {np.dtype(np.float32): 'F32'}


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as f:
        f.write(data.encode() if isinstance(data, str) else data)


def write_json(path, value):
    write(path, json.dumps(value, ensure_ascii=False))


def safetensors(tensors):
    header, offset, body = {}, 0, b''
    for name, x in tensors.items():
        header[name] = {'dtype': TYPES[x.dtype], 'shape': list(x.shape), 'data_offsets': [offset, offset + x.nbytes]}
        offset += x.nbytes
        body += x.tobytes()
    h = json.dumps(header).encode()
    h += b' ' * (-len(h) % 8)
    return struct.pack('<Q', len(h)) + h + body


class Random:
    def __init__(self, seed):
        self.r = np.random.RandomState(seed)
        self.t = {}

    def normal(self, name, *shape, scale=0.5):
        self.t[name] = (self.r.standard_normal(shape) * scale).astype(np.float32)

    def linear(self, name, out, inside, bias=True):
        self.normal(name + '.weight', out, inside, scale=1.5 / np.sqrt(inside))
        if bias:
            self.normal(name + '.bias', out, scale=0.2)

    def norm(self, name, n):
        self.t[name + '.weight'] = (1 + 0.2 * self.r.standard_normal(n)).astype(np.float32)
        self.normal(name + '.bias', n, scale=0.2)


def bert_tensors(seed, prefix='', positions=POSITIONS, vocab=len(TOKENS)):
    w = Random(seed)
    e = prefix + 'embeddings.'
    w.normal(e + 'word_embeddings.weight', vocab, H, scale=1)
    w.normal(e + 'position_embeddings.weight', positions, H)
    w.normal(e + 'token_type_embeddings.weight', 2, H)
    w.norm(e + 'LayerNorm', H)
    for i in range(LAYERS):
        l = f'{prefix}encoder.layer.{i}.'
        for n in ('query', 'key', 'value'):
            w.linear(f'{l}attention.self.{n}', H, H)
        w.linear(l + 'attention.output.dense', H, H)
        w.norm(l + 'attention.output.LayerNorm', H)
        w.linear(l + 'intermediate.dense', FF, H)
        w.linear(l + 'output.dense', H, FF)
        w.norm(l + 'output.LayerNorm', H)
    w.linear(prefix + 'pooler.dense', H, H)
    return w.t


def bert_config(**more):
    return dict({'architectures': ['BertModel'], 'model_type': 'bert', 'hidden_act': 'gelu', 'hidden_size': H,
                 'intermediate_size': FF, 'layer_norm_eps': 1e-12, 'max_position_embeddings': POSITIONS,
                 'num_attention_heads': HEADS, 'num_hidden_layers': LAYERS, 'pad_token_id': 0, 'type_vocab_size': 2,
                 'vocab_size': len(TOKENS)}, **more)


def tokenizer_json(**more):
    special = [{'id': i, 'content': TOKENS[i], 'single_word': False, 'lstrip': False, 'rstrip': False, 'normalized': False,
                'special': True} for i in range(5)]
    piece = lambda t: {'SpecialToken': {'id': t, 'type_id': 0}}
    part = lambda s, n: {'Sequence': {'id': s, 'type_id': n}}
    return dict({'version': '1.0', 'truncation': None, 'padding': None, 'added_tokens': special,
                 'normalizer': {'type': 'BertNormalizer', 'clean_text': True, 'handle_chinese_chars': True,
                                'strip_accents': None, 'lowercase': True},
                 'pre_tokenizer': {'type': 'BertPreTokenizer'},
                 'post_processor': {'type': 'TemplateProcessing', 'single': [piece('[CLS]'), part('A', 0), piece('[SEP]')],
                                    'pair': [piece('[CLS]'), part('A', 0), piece('[SEP]'), part('B', 1),
                                             {'SpecialToken': {'id': '[SEP]', 'type_id': 1}}],
                                    'special_tokens': {t: {'id': t, 'ids': [VOCAB[t]], 'tokens': [t]} for t in ('[CLS]', '[SEP]')}},
                 'decoder': None,
                 'model': {'type': 'WordPiece', 'unk_token': '[UNK]', 'continuing_subword_prefix': '##',
                           'max_input_chars_per_word': 100, 'vocab': VOCAB}}, **more)


def module(i, name, path):
    return {'idx': i, 'name': str(i), 'path': path, 'type': f'sentence_transformers.models.{name}'}


MODULES = [module(0, 'Transformer', ''), module(1, 'Pooling', '1_Pooling'), module(2, 'Normalize', '2_Normalize')]
POOLING = {'word_embedding_dimension': H, 'pooling_mode_cls_token': False, 'pooling_mode_mean_tokens': True}


class Builder:
    def __init__(self, out):
        self.out = os.path.abspath(out)

    def text(self, name, files=None, tensors=None, normalize=True, drop=()):
        """A sentence-transformers directory of a tiny BERT; `files` replace or add, `drop` are left out."""
        d = f'{self.out}/{name}'
        all_files = {'config.json': bert_config(), 'tokenizer.json': tokenizer_json(), 'vocab.txt': '\n'.join(TOKENS) + '\n',
                     'model.safetensors': safetensors(tensors if tensors is not None else bert_tensors(1)),
                     'modules.json': MODULES if normalize else MODULES[:2], '1_Pooling/config.json': POOLING,
                     'sentence_bert_config.json': {'max_seq_length': 32, 'do_lower_case': False}}
        all_files.update(files or {})
        for f, data in all_files.items():
            if f not in drop:
                (write if isinstance(data, (str, bytes)) else write_json)(f'{d}/{f}', data)
        return d

    def classifier(self, name, labels, tensors, config=None, files=None):
        """BertForSequenceClassification, without files of sentence-transformers."""
        c = bert_config(architectures=['BertForSequenceClassification'], id2label={str(i): l for i, l in enumerate(labels)},
                        label2id={l: i for i, l in enumerate(labels)}, **(config or {}))
        return self.text(name, {'config.json': c, **(files or {})}, tensors,
                         drop=('modules.json', '1_Pooling/config.json', 'sentence_bert_config.json'))


def head(tensors, labels, seed, scale=1., bias=0.):
    w = Random(seed)
    w.normal('classifier.weight', labels, H, scale=scale)
    w.t['classifier.bias'] = np.broadcast_to(np.float32(bias), labels).astype(np.float32).copy()
    return {**tensors, **w.t}


SIDE, PATCH = 8, 4


def vit_tensors(seed, labels):
    w = Random(seed)
    w.normal('vit.embeddings.cls_token', 1, 1, H)
    w.normal('vit.embeddings.position_embeddings', 1, 1 + (SIDE // PATCH) ** 2, H)
    w.normal('vit.embeddings.patch_embeddings.projection.weight', H, 3, PATCH, PATCH, scale=0.3)
    w.normal('vit.embeddings.patch_embeddings.projection.bias', H)
    for i in range(LAYERS):
        l = f'vit.encoder.layer.{i}.'
        w.norm(l + 'layernorm_before', H)
        for n in ('query', 'key', 'value'):
            w.linear(f'{l}attention.attention.{n}', H, H)
        w.linear(l + 'attention.output.dense', H, H)
        w.norm(l + 'layernorm_after', H)
        w.linear(l + 'intermediate.dense', FF, H)
        w.linear(l + 'output.dense', H, FF)
    w.norm('vit.layernorm', H)
    w.linear('classifier', labels, H)
    return w.t


def vit_config(labels):
    return {'architectures': ['ViTForImageClassification'], 'model_type': 'vit', 'hidden_act': 'gelu', 'hidden_size': H,
            'image_size': SIDE, 'patch_size': PATCH, 'num_channels': 3, 'intermediate_size': FF, 'layer_norm_eps': 1e-12,
            'num_attention_heads': HEADS, 'num_hidden_layers': LAYERS, 'qkv_bias': True,
            'id2label': {str(i): l for i, l in enumerate(labels)}, 'label2id': {l: i for i, l in enumerate(labels)}}


def clip_tensors(seed, projection):
    w = Random(seed)
    for tower, n in (('text_model', 'embeddings.token_embedding.weight'), ('vision_model', 'embeddings.class_embedding')):
        if tower == 'text_model':
            w.normal(f'{tower}.{n}', len(TOKENS), H)
            w.normal('text_model.embeddings.position_embedding.weight', POSITIONS, H)
            w.norm('text_model.final_layer_norm', H)
        else:
            w.normal(f'{tower}.{n}', H)
            w.normal('vision_model.embeddings.patch_embedding.weight', H, 3, PATCH, PATCH, scale=0.3)
            w.normal('vision_model.embeddings.position_embedding.weight', 1 + (SIDE // PATCH) ** 2, H)
            w.norm('vision_model.pre_layrnorm', H)
            w.norm('vision_model.post_layernorm', H)
        for i in range(LAYERS):
            l = f'{tower}.encoder.layers.{i}.'
            for m in ('q_proj', 'k_proj', 'v_proj', 'out_proj'):
                w.linear(f'{l}self_attn.{m}', H, H)
            w.norm(l + 'layer_norm1', H)
            w.norm(l + 'layer_norm2', H)
            w.linear(l + 'mlp.fc1', FF, H)
            w.linear(l + 'mlp.fc2', H, FF)
    w.linear('visual_projection', projection, H, bias=False)
    w.linear('text_projection', projection, H, bias=False)
    w.t['logit_scale'] = np.float32(2.6592).reshape(())
    return w.t


def clip_config(projection):
    tower = {'hidden_size': H, 'intermediate_size': FF, 'num_attention_heads': HEADS, 'num_hidden_layers': LAYERS,
             'hidden_act': 'quick_gelu', 'layer_norm_eps': 1e-5, 'projection_dim': projection}
    return {'architectures': ['CLIPModel'], 'model_type': 'clip', 'projection_dim': projection, 'logit_scale_init_value': 2.6592,
            'text_config': dict(tower, model_type='clip_text_model', vocab_size=len(TOKENS), max_position_embeddings=POSITIONS,
                                eos_token_id=3),
            'vision_config': dict(tower, model_type='clip_vision_model', image_size=SIDE, patch_size=PATCH, num_channels=3)}


def png(rgb):
    """(H, W, 3) bytes as a PNG without filters."""
    h, w, _ = rgb.shape
    chunk = lambda kind, data: struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    rows = b''.join(b'\0' + row.tobytes() for row in rgb)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', w, h, 8, 2, 0, 0, 0))
            + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


def bmp(rgb):
    """(H, W, 3) bytes as a BMP of 24 bits, W a multiple of 4; the last row comes first."""
    h, w, _ = rgb.shape
    body = rgb[::-1, :, ::-1].tobytes()
    return b'BM' + struct.pack('<IIIIiiHHIIiiII', 54 + len(body), 0, 54, 40, w, h, 1, 24, 0, len(body), 2835, 2835, 0, 0) + body
