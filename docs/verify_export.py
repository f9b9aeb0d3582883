#!/usr/bin/env python3
"""Verifies what `daybook export` wrote: verify_export.py EXPORT [VERIFIER_KEY]. verify_proof.py lies beside it."""
import base64, hashlib, json, sys
from verify_proof import checkpoint, entry, sha256
PREFIX, EVENT, at = b'{"format":"daybook-export","version":1,"sha256":"', b"daybook/event/v1\0", 1
def node(left, right): return sha256(b"\1", left, right)
def hashes(texts): return [bytes.fromhex(text) for text in texts or []]
def need(holds, otherwise): holds or sys.exit(f"DOES NOT HOLD: line {at}: {otherwise}")
def roots(index, last, path, old, new):  # RFC 9162, sections 2.1.3.2 and 2.1.4.2: of the older and of the newer tree
    for beside in path:
        left = index & 1 or index == last
        old, new = node(beside, old) if left else old, node(beside, new) if left else node(new, beside)
        while left and index and not index & 1: index, last = index >> 1, last >> 1
        index, last = index >> 1, last >> 1 if last else need(False, "a proof is too long")
    return old, new if last == 0 else None
def names(value):  # the blobs that a payload refers to
    if not isinstance(value, dict): return set().union(*map(names, value)) if isinstance(value, list) else set()
    own = {"sha256"} if set(value) == {"sha256", "bytes"} else {"before_sha256", "after_sha256"} & set(value)
    return {value[name] for name in own}.union(*map(names, value.values()))
def verify(lines, key=None):
    global at
    m, digest = json.loads(first := next(lines, b"{}")), hashlib.sha256(first[len(PREFIX) + 64:])
    origin, size, root = checkpoint(m["checkpoint"], key or m["key"])
    need(first.startswith(PREFIX) and origin == "daybook/" + m["book_id"] and m["to"] <= size, "of something else")
    book, position, tree = m["kind"] == "book", m["from"] - 1, hashes(m["frontier"])
    chain, sequences, known, fresh, part = bytes.fromhex(m["previous"] or ""), {}, set(), set(), b""
    count = {"events": 0, "erased": 0, "blobs": 0, "absent": 0}
    for at, raw in enumerate(lines, 2):
        line, _ = json.loads(raw), digest.update(raw)
        need(line["line"] == at and raw.endswith(b"\n"), "a line out of turn, or cut off")
        if "blob" in line:
            part, name = part + base64.b64decode(line.get("content", ""), validate=True), line["blob"]
            if len(part) == line.get("bytes", 0):
                need("bytes" not in line or "sha256:" + sha256(part).hex() == name, "another blob")
                count["blobs" if "bytes" in line else "absent"] += name not in known
                part = known.add(name) or fresh.add(name) or b""
            continue
        e, stream = line["event"], line["event"]["stream_id"]
        need(e["book_id"] == m["book_id"] and (book or e["session_id"] == m["session_id"]), "an event of elsewhere")
        need(position < e["position"] <= (position + 1 if book else m["to"]), "a position out of turn")
        gap = m["from"] > 1 and stream not in sequences if book else stream == m["book_id"]
        need(0 <= e["sequence"] - sequences.get(stream, 0) - 1 <= gap * e["sequence"], "a sequence out of turn")
        need(not part and fresh <= names(json.loads(e["payload"] or "0")) <= known, "other blobs than it refers to")
        position, sequences[stream], fresh, index = e["position"], e["sequence"], set(), e["position"] - 1
        count["events"], count["erased"] = count["events"] + 1, count["erased"] + (e["payload"] is None)
        leaf, path, chain = sha256(b"\0", entry(e)), hashes(line.get("proof")), book and sha256(EVENT, chain, entry(e))
        wanted, got = (line["hash"], chain.hex()) if book else (root, roots(index, size - 1, path, leaf, leaf)[1])
        need(wanted == got, "another event than was written")
        while book and index & 1: leaf, index = node(tree.pop(), leaf), index >> 1
        tree += [leaf] * book
    at, whole = 1, not part and not fresh and all(count[name] == m[name] for name in count)
    need(whole and digest.hexdigest() == m["sha256"], f"another digest, or other numbers than {count}")
    while tree[1:]: tree[-2:] = [node(*tree[-2:])]
    low, path = (m["to"] & -m["to"]).bit_length() - 1, tree * (m["to"] & m["to"] - 1 == 0) + hashes(m["consistency"])
    index, last = m["to"] - 1 >> low, size - 1 >> low
    ends = not book or tree == [root] if m["to"] == size or not book else roots(index, last, path[1:], path[0], path[0])
    need(ends in (True, (*tree, root)), "a checkpoint of other events")
    print(f"holds: {m['events']} events of {origin}, in the log of {size} events")
try: verify(open(sys.argv[1], "rb"), *sys.argv[2:])
except (ValueError, KeyError, TypeError, IndexError, OSError) as error: need(False, error)
