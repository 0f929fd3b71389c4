#!/usr/bin/python3
"""run_cases.py TESSERA CASES.json FOLDER [ID ...]: runs what users do and checks what is right.

CASES.json lists cases (id, first, does, right, says); FOLDER holds the model directories and inputs they name.
The checks are those of shared/cases/README.md; tests/cases has cases in the same form. Prints one line per case; exit status 1 if one does not hold.
"""
import json, math, os, re, shlex, subprocess, sys, tempfile


def command(line, tessera, cases, out):
    for key, value in (('{tessera}', tessera), ('{cases}', cases), ('{out}', out)):
        line = line.replace(key, shlex.quote(value) if key == '{tessera}' else value)
    return subprocess.run(['bash', '-c', line], cwd=out, capture_output=True, timeout=120)


def near(got, want, within):
    """Numbers up to `within` (times the size of numbers above 1); everything else exactly."""
    if isinstance(want, (int, float)) and not isinstance(want, bool) and isinstance(got, (int, float)) and within:
        return abs(got - want) <= within * max(1., abs(want))
    if isinstance(want, list):
        return isinstance(got, list) and len(got) == len(want) and all(near(g, w, within) for g, w in zip(got, want))
    if isinstance(want, dict):
        return isinstance(got, dict) and all(k in got and near(got[k], v, within) for k, v in want.items())
    return got == want


def cosine(a, b):
    norms = math.sqrt(sum(x * x for x in a) * sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b)) / norms if len(a) == len(b) and norms else -1.


def same_order(got, want):
    def rank(values):
        return sorted(range(len(values)), key=lambda i: values[i])
    return len(set(got)) == len(got) == len(want) and rank(got) == rank(want)


def fields(done, name):
    return [json.loads(line)[name] for line in done.stdout.decode().splitlines()]


def column(done, number):
    return [float(line.split('\t')[number - 1]) for line in done.stdout.decode().splitlines()]


def hits(done):
    return [[[hit['line'], hit['score']] for hit in json.loads(line)['hits']] for line in done.stdout.decode().splitlines()]


def fault(check, done, run):
    """What does not hold, in words; None if the check holds."""
    within = check.get('within', 0)
    if 'exit' in check:
        ok = done.returncode != 0 if check['exit'] == 'not 0' else done.returncode == check['exit']
        return None if ok else f'exit status {done.returncode}'
    if 'field' in check:
        got = fields(done, check['field'])
        if 'direction' in check:
            ok = len(got) == len(check['direction']) and all(cosine(g, w) > 1 - within for g, w in zip(got, check['direction']))
        else:
            ok = near(got, check['is'], within)
        return None if ok else f'{check["field"]}: {json.dumps(got)[:200]}'
    if 'column' in check:
        got = column(done, check['column'])
        ok = same_order(got, check['order_of']) if 'order_of' in check else near(got, check['is'], within)
        return None if ok else f'column {check["column"]}: {got}'
    if 'hits' in check:
        got = hits(done)
        want = check['hits']
        if check.get('sign') == 'either':
            got, want = ([[[l, abs(s)] for l, s in q] for q in x] for x in (got, want))
        return None if near(got, want, within) else f'hits: {json.dumps(got)[:300]}'
    if 'lines' in check:
        got = len(done.stdout.decode().splitlines())
        return None if got == check['lines'] else f'{got} lines'
    if 'stderr' in check:
        said = done.stderr.decode(errors='replace')
        missing = [r for r in check['stderr'] if not re.search(r, said, re.IGNORECASE)]
        return f'stderr without {missing}' if missing else None
    if 'stderr_is_empty' in check:
        return f'stderr: {done.stderr.decode(errors="replace")[:200]}' if done.stderr else None
    if 'same_as' in check:
        other = run(check['same_as'])
        same = (other.stdout, other.returncode) == (done.stdout, done.returncode)
        return None if same else f'not the same as: {check["same_as"]}'
    if 'any' in check:
        faults = [faults_of(option, done, run) for option in check['any']]
        return None if not all(faults) else f'none of {len(faults)} alternatives: {faults}'
    sys.exit(f'unknown check {check}')


def faults_of(checks, done, run):
    return [f for f in (fault(c, done, run) for c in checks) if f]


def main(tessera, file, folder, ids):
    tessera, folder = os.path.abspath(tessera), os.path.abspath(folder)
    with open(file, encoding='utf-8') as f:
        cases = [c for c in json.load(f)['cases'] if not ids or c['id'] in ids]
    failed = 0
    for case in cases:
        with tempfile.TemporaryDirectory() as out:
            def run(line):
                return command(line, tessera, folder, out)
            try:
                if 'first' in case:
                    run(case['first'])
                done = run(case['does'])
                faults = faults_of(case['right'], done, run)
            except Exception as e:                       # an answer of another form is a wrong answer
                faults = [f'{type(e).__name__}: {e}']
            said = done.stderr.decode(errors='replace').strip()
            print('ok    ' if not faults else 'WRONG ', case['id'], sep='')
            if faults:
                failed += 1
                print(f'         {case["says"]}')
                for f in faults:
                    print(f'         {f}')
                if said:
                    print(f'         stderr: {said[:400]}')
    print(f'{len(cases) - failed} of {len(cases)} cases are right')
    return 1 if failed or not cases else 0


if __name__ == '__main__':
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))
