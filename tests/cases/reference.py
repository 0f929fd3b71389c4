"""What the reference computes, in float64: the encoders of transformers as formulas, and WordPiece on plain words."""
import math
import numpy as np

erf = np.vectorize(math.erf)


def gelu(x):
    return 0.5 * x * (1 + erf(x / math.sqrt(2)))


def quick_gelu(x):
    return x / (1 + np.exp(-1.702 * x))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class Weights:
    """Tensors by name behind a prefix, in float64."""

    def __init__(self, tensors, prefix=''):
        self.t, self.prefix = tensors, prefix

    def below(self, name):
        return Weights(self.t, f'{self.prefix}{name}.')

    def get(self, name):
        return self.t[self.prefix + name].astype(np.float64)

    def has(self, name):
        return self.prefix + name in self.t

    def linear(self, name, x):
        y = x @ self.get(name + '.weight').T
        return y + self.get(name + '.bias') if self.has(name + '.bias') else y

    def norm(self, name, x, eps):
        d = x - x.mean(-1, keepdims=True)
        return d / np.sqrt((d * d).mean(-1, keepdims=True) + eps) * self.get(name + '.weight') + self.get(name + '.bias')


def attend(q, k, v, heads, causal=False):
    n, h = q.shape
    q, k, v = (x.reshape(n, heads, h // heads).transpose(1, 0, 2) for x in (q, k, v))
    s = q @ k.transpose(0, 2, 1) / math.sqrt(h // heads)
    p = softmax(np.where(np.tri(n) == 1, s, -np.inf) if causal else s)
    return (p @ v).transpose(1, 0, 2).reshape(n, h)


def bert(tensors, ids, types, heads, layers, prefix='', eps=1e-12, first_position=0):
    """last_hidden_state of BertModel (and RobertaModel, whose positions begin at 2)."""
    w = Weights(tensors, prefix)
    e = w.below('embeddings')
    positions = np.arange(len(ids)) + first_position
    x = (e.get('word_embeddings.weight')[ids] + e.get('position_embeddings.weight')[positions]
         + e.get('token_type_embeddings.weight')[types])
    x = e.norm('LayerNorm', x, eps)
    for i in range(layers):
        l = w.below(f'encoder.layer.{i}')
        s = l.below('attention.self')
        a = attend(*(s.linear(n, x) for n in ('query', 'key', 'value')), heads)
        x = l.norm('attention.output.LayerNorm', x + l.linear('attention.output.dense', a), eps)
        x = l.norm('output.LayerNorm', x + l.linear('output.dense', gelu(l.linear('intermediate.dense', x))), eps)
    return x


def bert_logits(tensors, ids, types, heads, layers):
    """BertForSequenceClassification."""
    x = bert(tensors, ids, types, heads, layers, 'bert.')
    pooled = np.tanh(Weights(tensors, 'bert.pooler.').linear('dense', x[0]))
    return Weights(tensors).linear('classifier', pooled)


def patches(pixels, side):
    """(3, H, W) to (patches, 3 * side * side), row by row, as the weights of a convolution lie."""
    c, h, w = pixels.shape
    p = pixels.reshape(c, h // side, side, w // side, side).transpose(1, 3, 0, 2, 4)
    return p.reshape(-1, c * side * side)


def vit_logits(tensors, pixels, side, heads, layers, eps=1e-12):
    """ViTForImageClassification."""
    w = Weights(tensors, 'vit.')
    kernel = w.get('embeddings.patch_embeddings.projection.weight')
    x = patches(pixels, side) @ kernel.reshape(len(kernel), -1).T + w.get('embeddings.patch_embeddings.projection.bias')
    x = np.concatenate([w.get('embeddings.cls_token')[0], x]) + w.get('embeddings.position_embeddings')[0]
    for i in range(layers):
        l = w.below(f'encoder.layer.{i}')
        y = l.norm('layernorm_before', x, eps)
        s = l.below('attention.attention')
        x = x + l.linear('attention.output.dense', attend(*(s.linear(n, y) for n in ('query', 'key', 'value')), heads))
        y = l.norm('layernorm_after', x, eps)
        x = x + l.linear('output.dense', gelu(l.linear('intermediate.dense', y)))
    return Weights(tensors).linear('classifier', w.norm('layernorm', x, eps)[0])


def clip_layers(w, x, heads, layers, eps, causal):
    for i in range(layers):
        l = w.below(f'encoder.layers.{i}')
        y = l.norm('layer_norm1', x, eps)
        s = l.below('self_attn')
        x = x + s.linear('out_proj', attend(*(s.linear(n, y) for n in ('q_proj', 'k_proj', 'v_proj')), heads, causal))
        x = x + l.linear('mlp.fc2', quick_gelu(l.linear('mlp.fc1', l.norm('layer_norm2', x, eps))))
    return x


def clip_image(tensors, pixels, side, heads, layers, eps=1e-5):
    """image_embeds of CLIPModel before they are normalised."""
    w = Weights(tensors, 'vision_model.')
    kernel = w.get('embeddings.patch_embedding.weight')
    x = patches(pixels, side) @ kernel.reshape(len(kernel), -1).T
    x = np.concatenate([w.get('embeddings.class_embedding')[None], x]) + w.get('embeddings.position_embedding.weight')
    x = clip_layers(w, w.norm('pre_layrnorm', x, eps), heads, layers, eps, False)
    return Weights(tensors).linear('visual_projection', w.norm('post_layernorm', x[0], eps))


def clip_text(tensors, ids, eos, heads, layers, eps=1e-5):
    """text_embeds of CLIPModel before they are normalised: of the first end of a text."""
    w = Weights(tensors, 'text_model.')
    x = w.get('embeddings.token_embedding.weight')[ids] + w.get('embeddings.position_embedding.weight')[:len(ids)]
    x = w.norm('final_layer_norm', clip_layers(w, x, heads, layers, eps, True), eps)
    return Weights(tensors).linear('text_projection', x[ids.index(eos)])


def wordpiece(vocab, words, lower=True):
    """Ids of words that blanks divide, longest piece first; a word that has none is [UNK]."""
    ids = []
    for word in words.split():
        word = word.lower() if lower and word not in vocab else word
        out, begin = [], 0
        while begin < len(word):
            end = next((e for e in range(len(word), begin, -1) if ('##' if begin else '') + word[begin:e] in vocab), None)
            if end is None:
                out = [vocab['[UNK]']]
                break
            out.append(vocab[('##' if begin else '') + word[begin:end]])
            begin = end
        ids += out
    return ids


def unit(x):
    return x / np.linalg.norm(x)
