"""Verifies the DKIM signatures of a message with dkimpy.

usage: verify_dkim.py MESSAGE RECORDS

RECORDS is a JSON file: an object with the TXT record of each name. Every signature must be good, and there must be as
many of them as records; otherwise it says what is wrong and exits with 1.
"""

import json
import sys

import dkim

with open(sys.argv[1], "rb") as file:
    message = file.read()
with open(sys.argv[2], encoding="utf-8") as file:
    records = json.load(file)


def text(name, timeout=5):
    return records[name.decode().rstrip(".")].encode()


verifier = dkim.DKIM(message)
count = sum(name.lower() == b"dkim-signature" for name, _ in verifier.headers)
if count != len(records):
    sys.exit(f"{count} signatures, {len(records)} records")
for place in range(count):
    if not dkim.DKIM(message).verify(idx=place, dnsfunc=text):
        sys.exit(f"signature {place} is bad")
