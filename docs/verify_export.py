#!/usr/bin/env python3
"""Verifies what `daybook export` wrote: verify_export.py EXPORT [VERIFIER_KEY]. Needs verify_proof.py beside it."""
import base64, hashlib, json, sys
from verify_proof import checkpoint, entry, sha256
PREFIX, EVENT = b'{"format":"daybook-export","version":1,"sha256":"', b"daybook/event/v1\0"
def node(left, right): return sha256(b"\1", left, right)
def hashes(texts): return [bytes.fromhex(text) for text in texts or []]
def need(holds, otherwise):
    if not holds: raise ValueError(otherwise)
def roots(index, last, path, low, high):  # of the older and the newer tree: RFC 9162, sections 2.1.3.2 and 2.1.4.2
    for beside in path:
        need(last, "a proof is too long")
        right = index & 1 or index == last
        low, high = node(beside, low) if right else low, node(beside, high) if right else node(high, beside)
        while right and index and not index & 1: index, last = index >> 1, last >> 1
        index, last = index >> 1, last >> 1
    return low, high if last == 0 else None
def references(value):  # the blobs that a payload names
    if not isinstance(value, (dict, list)): return set()
    inner = value.values() if isinstance(value, dict) else value
    names = ["sha256"] if set(value) == {"sha256", "bytes"} else ["before_sha256", "after_sha256"]
    return {value[n] for n in names if isinstance(value, dict) and n in value}.union(*map(references, inner))
class Export:
    def __init__(self, first, key):
        self.m = m = json.loads(first)
        need(first.startswith(PREFIX), "this is no export")
        self.digest, self.book = hashlib.sha256(first[len(PREFIX) + 64:]), m["kind"] == "book"
        origin, self.size, self.root = checkpoint(m["checkpoint"], key or m["key"])
        need(origin == "daybook/" + m["book_id"] and self.size >= m["to"], "the checkpoint is of something else")
        self.position, self.hash, self.tree = m["from"] - 1, bytes.fromhex(m["previous"] or ""), hashes(m["frontier"])
        self.sequences, self.known, self.fresh, self.part, self.count = {}, set(), set(), b"", [0, 0, 0, 0]
    def line(self, number, raw):
        self.digest.update(raw)
        line = json.loads(raw)
        need(line["line"] == number and raw.endswith(b"\n"), "a line out of turn, or cut off")
        self.event(line, line["event"]) if "event" in line else self.blob(line["blob"], line)
    def blob(self, name, line):
        need(name not in self.known and line.get("offset", 0) == len(self.part), "a blob out of turn")
        self.part += base64.b64decode(line.get("content", ""), validate=True)
        if len(self.part) == line.get("bytes", 0):
            need("bytes" not in line or name == "sha256:" + sha256(self.part).hex(), "another blob")
            self.count[2 if "bytes" in line else 3] += 1
            self.known, self.fresh, self.part = self.known | {name}, self.fresh | {name}, b""
    def event(self, line, e):
        m, stream, named = self.m, e["stream_id"], references(json.loads(e["payload"] or "null"))
        need(e["book_id"] == m["book_id"] and (self.book or e["session_id"] == m["session_id"]), "an event of elsewhere")
        skipped, due = e["position"] - self.position - 1, self.sequences.get(stream, 0) + 1
        need(0 <= skipped <= (0 if self.book else m["to"]) and e["position"] <= m["to"], "a position out of turn")
        sparse = stream == m["book_id"] and not self.book or m["from"] > 1 and stream not in self.sequences
        need(e["sequence"] == due or sparse and e["sequence"] > due, "a sequence out of turn")
        need(not self.part and self.fresh <= named <= self.known, "other blobs than the event names")
        self.position, self.sequences[stream], self.fresh, index = e["position"], e["sequence"], set(), e["position"] - 1
        self.count = [self.count[0] + 1, self.count[1] + (e["payload"] is None)] + self.count[2:]
        bytes_of, leaf = entry(e), sha256(b"\0", entry(e))
        if not self.book: need(roots(index, self.size - 1, hashes(line["proof"]), leaf, leaf)[1] == self.root, "no proof")
        else: self.hash = sha256(EVENT, self.hash, bytes_of)
        need(not self.book or self.hash.hex() == line["hash"], "its hash does not follow")
        while self.book and index & 1: leaf, index = node(self.tree.pop(), leaf), index >> 1
        self.tree.append(leaf)
