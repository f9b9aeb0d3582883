#!/usr/bin/env python3
"""Verifies that an event is in a log of Daybook: verify_proof.py PROOF VERIFIER_KEY [CHECKPOINT]"""
import base64, hashlib, json, struct, sys, uuid
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
def sha256(*parts): return hashlib.sha256(b"".join(parts)).digest()
def b64(text): return base64.b64decode(text, validate=True)
def read(file): return open(file, encoding="utf-8", newline="").read()
def need(holds, otherwise): holds or sys.exit("DOES NOT HOLD: " + otherwise)
def add(a, b):  # Ed25519 as in RFC 8032, section 5.1.4; points are X, Y, Z, T
    e, f = (a[1] - a[0]) * (b[1] - b[0]), (a[1] + a[0]) * (b[1] + b[0])
    g, h = 2 * a[3] * b[3] * -121665 * pow(121666, -1, P), 2 * a[2] * b[2]
    return (f - e) * (h - g) % P, (h + g) * (f + e) % P, (h - g) * (h + g) % P, (f - e) * (f + e) % P
def times(n, p): return add(times(n // 2, add(p, p)), p if n % 2 else (0, 1, 1, 0)) if n else (0, 1, 1, 0)
def point(data):
    y = int.from_bytes(data, "little") % 2**255
    xx = (y * y - 1) * pow(-121665 * pow(121666, -1, P) * y * y + 1, -1, P) % P
    x = pow(xx, (P + 3) // 8, P)
    x = x if x * x % P == xx else x * pow(2, (P - 1) // 4, P) % P
    need(y < P and x * x % P == xx, "that is no point of the curve")
    return (x := x if x % 2 == data[31] >> 7 else P - x), y, 1, x * y % P
def signed(key, text, signature):
    s, k = int.from_bytes(signature[32:], "little"), hashlib.sha512(signature[:32] + key + text).digest()
    a = times(s, point((4 * pow(5, -1, P) % P).to_bytes(32, "little")))
    b = add(point(signature[:32]), times(int.from_bytes(k, "little") % L, point(key)))
    return len(signature) == 64 and s < L and all((a[i] * b[2] - b[i] * a[2]) % P == 0 for i in (0, 1))
def checkpoint(note, verifier):  # a C2SP signed note: its text, an empty line, its signatures
    (name, key_id, key), (text, lines) = verifier.split("+", 2), note.rsplit("\n\n", 1)
    need(b64(key)[0] == 1 and sha256(name.encode(), b"\n", b64(key))[:4].hex() == key_id, "that is no verifier key")
    named = [b64(line.split(" ")[2]) for line in lines.split("\n") if line.startswith("\u2014 " + name + " ")]
    ours = [signed(b64(key)[1:], (text + "\n").encode(), s[4:]) for s in named if s[:4].hex() == key_id]
    need(ours and all(ours), "this key did not sign it")
    origin, size, root = text.split("\n")
    need(origin == name, "the checkpoint is of another book")
    return origin, int(size), b64(root)
def entry(e):  # what is hashed of an event
    def id(name): return e[name] and uuid.UUID(e[name]).bytes
    def int64(name): return struct.pack(">q", e[name])
    commitment, hashed = bytes.fromhex(e["commitment"]), e["request_hash"] and bytes.fromhex(e["request_hash"])
    need(not e["payload"] or sha256(bytes.fromhex(e["salt"]), e["payload"].encode()) == commitment, "another payload")
    columns = [id("book_id"), int64("position"), id("stream_id"), int64("sequence"), id("session_id"), id("event_id"),
               e["event_type"].encode(), struct.pack(">h", e["event_version"]), int64("occurred_us"),
               int64("recorded_us"), e["actor_id"].encode(), id("correlation_id"), id("causation_id"), id("request_id"),
               hashed, e["metadata"].encode()]
    return b"".join(b"\xff" * 4 if c is None else struct.pack(">I", len(c)) + c for c in columns) + commitment
def main(proof, verifier, kept=None):
    head, note = read(proof).split("\n\n", 1)
    magic, extra, index, *path = head.split("\n")
    need((magic, extra[:6], index[:6]) == ("c2sp.org/tlog-proof@v1", "extra ", "index "), "that is no proof")
    e, index, (origin, size, root) = json.loads(b64(extra[6:])), int(index[6:]), checkpoint(note, verifier)
    need(kept is None or checkpoint(read(kept), verifier) == (origin, size, root), "not the checkpoint that was kept")
    need(origin == "daybook/" + e["book_id"] and 0 <= index == e["position"] - 1 < size, "a proof of another event")
    low, high, sides, node = 0, size, [], sha256(b"\0", entry(e))
    while high - low > 1:  # from the root down: is the leaf on the right of the largest power of two?
        middle = low + (1 << (high - low - 1).bit_length() - 1)
        sides, (low, high) = [index >= middle] + sides, (middle, high) if index >= middle else (low, middle)
    for right, beside in zip(sides, map(b64, path)): node = sha256(b"\1", *((beside, node) if right else (node, beside)))
    need(len(path) == len(sides) and node == root, "it leads to another root")
    print(f"holds: {e['event_type']} at position {e['position']} of {origin}, in the log of {size} events")
try: __name__ == "__main__" and main(*sys.argv[1:])
except (ValueError, KeyError, TypeError, IndexError, OSError) as error: sys.exit(f"DOES NOT HOLD: {error}")
