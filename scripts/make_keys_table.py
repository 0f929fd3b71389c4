#!/usr/bin/python3
"""make_keys_table.py TESSERA > docs/KEYS.md : what each key of config.json does, found out by changing it.

For every family a small checkpoint of tests/golden/data is opened with one key changed at a time, and its outputs are
compared, bit for bit, with those of the unchanged directory:

  honoured    the outputs change, or the checkpoint no longer fits the key
  refused     the directory is refused by name
  no effect   neither

Nothing is listed by hand but the keys and the values to try. Standard library only.
"""
import json, os, random, shutil, struct, subprocess, sys, tempfile, zlib

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DATA = ROOT + '/tests/golden/data/'

# family: the checkpoints that stand for it (a key counts where one of them shows an effect)
FAMILIES = {
    'bert': ['bert-model', 'bert-mlm', 'bert-seqcls', 'bert-qa', 'bert-nsp', 'bert-multiple-choice'],
    'roberta': ['roberta-model', 'roberta-mlm', 'roberta-seqcls', 'roberta-qa'],
    'xlm-roberta': ['xlm-roberta-model-bf16', 'xlm-roberta-reranker'],
    'distilbert': ['distilbert-model-sharded', 'distilbert-mlm', 'distilbert-seqcls', 'distilbert-qa'],
    'mpnet': ['mpnet-model', 'mpnet-mlm', 'mpnet-seqcls'],
    'electra': ['electra-model', 'electra-mlm', 'electra-discriminator', 'electra-seqcls', 'electra-choice'],
    'albert': ['albert-model', 'albert-mlm', 'albert-seqcls'],
    'deberta-v2': ['deberta-v3-model', 'deberta-v3-seqcls', 'deberta-v3-tokcls', 'deberta-v2-conv-model', 'deberta-v2-unshared-clamped'],
    'jina_bert': ['jina-bert-v2', 'jina-bert-v2-code', 'jina-bert-v2-reranker'],
    'modernbert': ['modernbert-model', 'modernbert-model-v5config', 'modernbert-mlm', 'modernbert-seqcls-cls', 'modernbert-tokcls'],
    'nomic_bert': ['nomic-bert-model', 'nomic-embed-v1.5', 'nomic-embed-v2-moe'],
    'new': ['gte-new-model', 'gte-new-mlm', 'gte-new-reranker'],
    'eurobert': ['eurobert-model-bf16', 'eurobert-mlm', 'eurobert-seqcls-late'],
    'qwen3': ['qwen3-embedding-bf16', 'qwen3-embedding-v5config', 'qwen3-seqcls'],
    'gemma3_text': ['embeddinggemma', 'embeddinggemma-v5config', 'gemma3-text-causal'],
    'vit': ['vit-model', 'vit-imgcls'],
    'deit': ['deit-model', 'deit-teacher'],
    'dinov2': ['dinov2-model', 'dinov2-imgcls'],
    'dinov2_with_registers': ['dinov2-registers-model', 'dinov2-registers-swiglu'],
    'dinov3_vit': ['dinov3-vit-model', 'dinov3-vit-model-gated'],
    'beit': ['beit-model', 'beit-imgcls'],
    'swin': ['swin-model', 'swin-imgcls'],
    'swinv2': ['swinv2-model', 'swinv2-imgcls'],
    'efficientvit_msra': ['efficientvit-msra-imgcls'],
    'clip_text_model': ['clip-text-proj'],
    'clip_vision_model': ['clip-vision-proj'],
    'siglip_text_model': ['siglip-text'],
    'siglip_vision_model': ['siglip-vision'],
    'clip': ['clip-full'],
    'siglip': ['siglip-full'],
}
# camembert is roberta by another name; clip and siglip hold the two towers under text_config and vision_config.


def dense(name, out, width):
    return {name + '.weight': [out, width], name + '.bias': [out]}


# Checkpoints that tests/golden/data lacks: of another one, with a head of numbers at random.
# name: (the other, architectures, what becomes of the names of its tensors, width -> more tensors)
MADE = {
    'mpnet-seqcls': ('mpnet-model', 'MPNetForSequenceClassification', lambda n: 'mpnet.' + n,
                     lambda h: {**dense('classifier.dense', h, h), **dense('classifier.out_proj', 2, h)}),
    'electra-seqcls': ('electra-model', 'ElectraForSequenceClassification', lambda n: 'electra.' + n,
                       lambda h: {**dense('classifier.dense', h, h), **dense('classifier.out_proj', 2, h)}),
    'electra-choice': ('electra-model', 'ElectraForMultipleChoice', lambda n: 'electra.' + n,
                       lambda h: {**dense('sequence_summary.summary', h, h), **dense('classifier', 1, h)}),
    'albert-seqcls': ('albert-model', 'AlbertForSequenceClassification', lambda n: 'albert.' + n, lambda h: dense('classifier', 2, h)),
    'beit-imgcls': ('beit-model', 'BeitForImageClassification', lambda n: 'beit.' + n, lambda h: dense('classifier', 2, h)),
    'swinv2-imgcls': ('swinv2-model', 'Swinv2ForImageClassification', lambda n: 'swinv2.' + n, lambda h: dense('classifier', 2, h)),
    'siglip-text': ('siglip-full', 'SiglipTextModel', lambda n: n if n.startswith('text_model.') else None, lambda h: {}),
}

EVERY = {
    'is_decoder': [True], 'add_cross_attention': [True], 'is_encoder_decoder': [True], 'tie_word_embeddings': [False],
    'tie_encoder_decoder': [True], 'pruned_heads': [{'0': [0]}], 'quantization_config': [{'quant_method': 'bitsandbytes', 'load_in_8bit': True}],
    'auto_map': [{'AutoModel': 'modeling_x.XModel'}], 'chunk_size_feed_forward': [2], 'use_cache': [False], 'torchscript': [True],
    'output_attentions': [True], 'output_hidden_states': [True], 'return_dict': [False], 'use_return_dict': [False], 'torch_dtype': ['float16'],
    'dtype': ['float16'], 'initializer_range': [0.5], 'initializer_factor': [2.0], 'transformers_version': ['3.0.0'], '_name_or_path': ['x'],
    '_attn_implementation': ['eager'], 'attn_implementation': ['eager'], 'gradient_checkpointing': [True], 'finetuning_task': ['x'],
    'problem_type': ['regression', 'multi_label_classification'], 'num_labels': [7], 'id2label': [{'0': 'a', '1': 'b', '2': 'c', '3': 'd', '4': 'e', '5': 'f', '6': 'g', '7': 'h', '8': 'i'}],
    'label2id': [{'a': 0}], 'task_specific_params': [{}], 'hidden_act': ['relu', 'unknown'], 'layer_norm_eps': [0.3], 'hidden_size': [24],
    'num_hidden_layers': [1], 'num_attention_heads': [1], 'intermediate_size': [12], 'attention_probs_dropout_prob': [0.5], 'hidden_dropout_prob': [0.5],
    'attention_dropout': [0.5], 'sbert_ce_default_activation_function': ['torch.nn.modules.linear.Identity', 'torch.nn.modules.activation.Softplus'],
    'sentence_transformers': [{'activation_fn': 'torch.nn.modules.linear.Identity'}],
}
TEXT = {
    'vocab_size': [33], 'type_vocab_size': [1, 3], 'max_position_embeddings': [17], 'pad_token_id': [5], 'bos_token_id': [7], 'eos_token_id': [9],
    'sep_token_id': [9], 'cls_token_id': [7], 'mask_token_id': [7], 'position_embedding_type': ['relative_key', 'rotary'], 'classifier_dropout': [0.5], 'embedding_size': [8],
    'summary_type': ['mean'], 'summary_activation': ['tanh'], 'summary_use_proj': [False], 'summary_proj_to_labels': [True], 'summary_last_dropout': [0.5],
    'relative_attention_num_buckets': [8], 'num_hidden_groups': [2], 'inner_group_num': [2], 'classifier_dropout_prob': [0.5],
    'activation': ['relu', 'unknown'], 'dim': [24], 'hidden_dim': [12], 'n_heads': [1], 'n_layers': [1], 'dropout': [0.5], 'qa_dropout': [0.5],
    'seq_classif_dropout': [0.5], 'sinusoidal_pos_embds': [True], 'tie_weights_': [False], 'projection_dim': [5], 'down_scale_factor': [2], 'gap_size': [1],
    'net_structure_type': [1], 'num_memory_blocks': [1], 'directionality': ['uni'], 'pooler_fc_size': [8], 'pooler_num_attention_heads': [1],
    'head_dim': [4], 'num_key_value_heads': [1], 'rms_norm_eps': [0.3], 'norm_eps': [0.3], 'rope_theta': [7.0],
    'rope_scaling': [{'rope_type': 'linear', 'factor': 4.0}, {'rope_type': 'yarn', 'factor': 4.0}, {'type': 'ntk', 'factor': 9.0}],
    'rope_parameters': [{'rope_theta': 7.0, 'rope_type': 'default'}, {'rope_theta': 7.0, 'rope_type': 'yarn'}], 'partial_rotary_factor': [0.5],
    'layer_types': [['full_attention'] * 8, ['sliding_attention'] * 3], 'sliding_window': [2], 'sliding_window_pattern': [2], '_sliding_window_pattern': [2],
    'use_sliding_window': [True], 'max_window_layers': [1], 'use_bidirectional_attention': [False, True], 'query_pre_attn_scalar': [3.0],
    'attn_logit_softcapping': [50.0], 'final_logit_softcapping': [30.0], 'rope_local_base_freq': [7.0], 'hidden_activation': ['relu', 'unknown'],
    'attention_bias': [True], 'mlp_bias': [True], 'norm_bias': [True], 'decoder_bias': [False], 'classifier_bias': [True], 'classifier_activation': ['relu'],
    'classifier_pooling': ['mean', 'cls', 'bos', 'late'], 'clf_pooling': ['mean', 'bos', 'late'], 'global_attn_every_n_layers': [1], 'local_attention': [2],
    'global_rope_theta': [7.0], 'local_rope_theta': [7.0], 'feed_forward_type': ['reglu', 'original', 'x'], 'pack_qkv': [False], 'layer_norm_type': ['rms_norm', 'x'],
    'logn_attention_scale': [True], 'n_embd': [24], 'n_head': [1], 'n_layer': [1], 'n_inner': [12], 'n_positions': [17], 'layer_norm_epsilon': [0.3],
    'activation_function': ['geglu', 'unknown'], 'rotary_emb_base': [7], 'rotary_emb_fraction': [0.5], 'rotary_emb_interleaved': [True], 'rotary_emb_scale_base': [512],
    'rotary_scaling_factor': [2.0], 'qkv_proj_bias': [True, False], 'mlp_fc1_bias': [True, False], 'mlp_fc2_bias': [True, False], 'prenorm': [True], 'parallel_block': [True],
    'causal': [True], 'use_rms_norm': [True], 'pad_vocab_size_multiple': [64], 'moe_top_k': [1, 9], 'num_experts': [2], 'moe_every_n_layers': [3],
    'moe_normalize_expert_weights': [True], 'num_shared_experts': [1],
    'pooler_num_fc_layers': [1], 'pooler_size_per_head': [8], 'pooler_type': ['x'], 'output_past': [False], 'adapters': [{}],
    'relative_attention': [False], 'pos_att_type': [['c2p'], 'p2c', 'p2p'], 'position_buckets': [-1, 7], 'max_relative_positions': [70], 'share_att_key': [True, False],
    'norm_rel_ebd': ['none', 'layer_norm', 'x'], 'position_biased_input': [True], 'attention_head_size': [4], 'conv_kernel_size': [1, 2], 'conv_act': ['relu', 'unknown'],
    'conv_groups': [2], 'pooler_hidden_act': ['relu'], 'pooler_hidden_size': [8], 'legacy': [False], 'pooler_dropout': [0.5],
}
VISION = {
    'image_size': [16, 64], 'patch_size': [4], 'num_channels': [1], 'qkv_bias': [False], 'encoder_stride': [8], 'pooler_act': ['relu'], 'pooler_output_size': [24],
    'mlp_ratio': [1], 'layerscale_value': [0.5], 'use_swiglu_ffn': [True], 'drop_path_rate': [0.5], 'apply_layernorm': [False], 'use_mask_token': [False],
    'num_register_tokens': [1], 'interpolate_antialias': [True], 'interpolate_offset': [0.1], 'out_features': [['stage1']], 'out_indices': [[1]], 'stage_names': [['stem', 'stage1']],
    'reshape_hidden_states': [False], 'use_absolute_position_embeddings': [True], 'use_relative_position_bias': [False], 'use_shared_relative_position_bias': [True],
    'use_mean_pooling': [False], 'layer_scale_init_value': [0.0], 'pool_scales': [[1]], 'use_auxiliary_head': [False], 'auxiliary_loss_weight': [0.1],
    'auxiliary_channels': [8], 'auxiliary_num_convs': [2], 'auxiliary_concat_input': [True], 'semantic_loss_ignore_index': [0], 'add_fpn': [True],
    'projection_dim': [5], 'vision_use_head': [False], 'query_bias': [True, False], 'key_bias': [True], 'value_bias': [True, False],
    'proj_bias': [False], 'mlp_bias': [False], 'use_gated_mlp': [True, False], 'rope_theta': [7.0], 'rope_parameters': [{'rope_theta': 7.0, 'rope_type': 'yarn'}, {'rope_theta': 7.0}],
    'rope_scaling': [{'rope_type': 'linear', 'factor': 4.0}], 'pos_embed_shift': [0.5], 'pos_embed_jitter': [2.0], 'pos_embed_rescale': [3.0],
    'embed_dim': [24], 'depths': [[1, 1], [2, 1, 1], [1, 1, 1]], 'num_heads': [[1, 1], [1, 1, 1]], 'window_size': [2], 'num_layers': [1],
    'architecture': ['resnet50'], 'num_classes': [0, 11], 'label_names': [['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j']], 'global_pool': ['max'],
    'model_args': [{'img_size': 80}, {'down_ops': []}], 'pretrained_cfg': [{'input_size': [3, 80, 80], 'mean': [0.1, 0.2, 0.3]}, {'crop_mode': 'squash'}],
    'num_features': [5],
    'pretrained_window_sizes': [[8, 8], [1, 0]], 'use_absolute_embeddings': [True],
}


def run(tessera, directory, is_text):
    """(exit status, everything that was computed, stderr)."""
    out = directory + '/out'
    if is_text:
        command = [tessera, 'run', directory, '--input', directory + '/inputs.safetensors', '--output', out, '--hidden-states', '--threads', '1']
    else:
        command = [tessera, 'embed', directory, directory + '/image.png', '--threads', '1']
    done = subprocess.run(command, capture_output=True)
    computed = done.stdout
    if done.returncode == 0 and is_text:
        with open(out, 'rb') as f:
            computed += f.read()
        os.remove(out)
    if done.returncode == 0 and not is_text:
        computed += subprocess.run(command + ['--output-name', 'pooler_output'], capture_output=True).stdout
    if done.returncode == 0:   # and what a person is shown of the head
        lines = ['classify', directory, '--threads', '1', '--format', 'jsonl'] + (['--ids', '-'] if is_text else [directory + '/image.png'])
        shown = subprocess.run([tessera] + lines, input=b'5 9 7 2\n', capture_output=True)
        computed += shown.stdout if shown.returncode == 0 else b''
        if shown.returncode != 0 and b'does not compute' in shown.stderr:
            return shown.returncode, computed, shown.stderr.decode(errors='replace')
    return done.returncode, computed, done.stderr.decode(errors='replace')


def copy(case, to, is_text):
    if case in MADE:
        make(case, to)
    for name in [] if case in MADE else os.listdir(DATA + case):
        if name.startswith('model') or name == 'config.json' or (name == 'inputs.safetensors' and is_text):
            shutil.copy(DATA + case + '/' + name, to)
    if not is_text:
        with open(to + '/image.png', 'wb') as f:
            f.write(picture(24))
    if not is_text and 'architecture' not in config_of(case):  # timm's say it in config.json
        with open(to + '/preprocessor_config.json', 'w') as f:
            json.dump({'image_processor_type': 'ViTImageProcessor', 'size': SIDE[case]}, f)


def make(case, to):
    source, _, rename, more = MADE[case]
    with open(DATA + source + '/model.safetensors', 'rb') as f:
        size = struct.unpack('<Q', f.read(8))[0]
        header, data = json.loads(f.read(size)), f.read()
    header.pop('__metadata__', None)
    tensors = {rename(n): (t['dtype'], t['shape'], data[t['data_offsets'][0]:t['data_offsets'][1]]) for n, t in header.items() if rename(n)}
    numbers = random.Random(case)
    for name, shape in more(config_of(case)['hidden_size']).items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        tensors[name] = ('F32', shape, struct.pack(f'<{count}f', *(numbers.gauss(0, .5) for _ in range(count))))
    save(to + '/model.safetensors', tensors)
    ids = [[5, 9, 7, 2, 11, 3, 8, 4, 12, 6], [6, 5, 9, 13, 7, 2, 8, 11, 4, 3]]
    flat = [i for row in ids for i in row]
    shape = [1, 2, 10] if 'MultipleChoice' in MADE[case][1] else [2, 10]
    save(to + '/inputs.safetensors', {n: ('I64', shape, struct.pack('<20q', *v)) for n, v in (('input_ids', flat), ('attention_mask', [1] * 20))})


def save(path, tensors):
    header, data = {}, b''
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as f:
        f.write(struct.pack('<Q', len(text)) + text + data)


def config_of(case):
    with open(DATA + (MADE[case][0] if case in MADE else case) + '/config.json') as f:
        config = json.load(f)
    if case == 'siglip-text':
        config = config['text_config']
    return dict(config, architectures=[MADE[case][1]]) if case in MADE else config


SIDE = {}


def picture(side):
    """A PNG file of pixels that all differ."""
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    rows = b''.join(b'\0' + bytes((x * 7 + y * 13 + c * 31) % 256 for x in range(side) for c in range(3)) for y in range(side))
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0)) +
            chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


def effect_of(tessera, directory, config, base, key, values, is_text):
    found = set()
    for value in values:
        with open(directory + '/config.json', 'w') as f:
            json.dump(dict(config, **{key: value}), f)
        status, computed, said = run(tessera, directory, is_text)
        if status != 0 and ('does not compute' in said or 'never run' in said):
            found.add('refused')
        elif status != 0 or computed != base:
            found.add('honoured')
        else:
            found.add('no effect')
    return found


def main(tessera):
    table, keys = {}, []
    for family, cases in FAMILIES.items():
        for case in cases:
            config = config_of(case)
            SIDE[case] = config.get('vision_config', config).get('image_size') or config.get('pretrained_cfg', {}).get('input_size', [None])[-1]
            is_text = SIDE[case] is None
            with tempfile.TemporaryDirectory() as directory:
                copy(case, directory, is_text)
                with open(directory + '/config.json', 'w') as f:
                    json.dump(config, f)
                status, base, said = run(tessera, directory, is_text)
                if status != 0:
                    sys.exit(f'{case}: {said}')
                for key, values in {**EVERY, **(TEXT if is_text else VISION)}.items():
                    if key not in keys:
                        keys.append(key)
                    table.setdefault((key, family), set()).update(effect_of(tessera, directory, config, base, key, values, is_text))
    print('# Keys of config.json\n')
    print('Written by `scripts/make_keys_table.py build/release/tessera/tessera > docs/KEYS.md`, which opens a small checkpoint of every family '
          'with one key changed at a time. **yes**: honoured, the outputs change or the weights no longer fit. **refused**: some values are refused '
          'by name, the others that were tried do nothing. **yes, or refused**: both. A dot: no effect. `camembert` is `roberta`; `clip` and `siglip` '
          'have the keys of their towers (the columns of `clip_text_model` and so on) under `text_config` and `vision_config`; their own columns are of '
          'keys beside these, by the image tower. `output_hidden_states` has an effect behind a WeightedLayerPooling, which none of these has; `max_position_embeddings` is also what longer texts are cut at, which ids are not. Which file wins where several speak: [SOURCES.md](SOURCES.md).\n')
    images = [f for f in FAMILIES if f not in TEXT_FAMILIES + NEWER_FAMILIES]
    for title, families in (('Texts', TEXT_FAMILIES), ('Texts: rotary positions, ALiBi', NEWER_FAMILIES), ('Images', images)):
        print(f'## {title}\n')
        print('| key | ' + ' | '.join(families) + ' |')
        print('|---' * (len(families) + 1) + '|')
        quiet = []
        for key in keys:
            cells = []
            for family in families:
                found = table.get((key, family), set())
                cells.append('yes, or refused' if {'honoured', 'refused'} <= found else 'yes' if 'honoured' in found else
                             'refused' if 'refused' in found else '·')
            if all(c == '·' for c in cells):
                if any((key, f) in table for f in families):
                    quiet.append(key)
                continue
            print(f'| `{key}` | ' + ' | '.join(cells) + ' |')
        print('\nNo effect in any of them: ' + ', '.join(f'`{k}`' for k in quiet) + '.\n')


TEXT_FAMILIES = ['bert', 'roberta', 'xlm-roberta', 'distilbert', 'mpnet', 'electra', 'albert', 'deberta-v2', 'clip_text_model', 'siglip_text_model']
NEWER_FAMILIES = ['jina_bert', 'modernbert', 'nomic_bert', 'new', 'eurobert', 'qwen3', 'gemma3_text']

if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(os.path.abspath(sys.argv[1]))
