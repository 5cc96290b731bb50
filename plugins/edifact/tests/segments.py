"""Writes the segments that pydifact reads from a file: a line of JSON each, elements as lists of components."""

import json
import sys
import warnings

warnings.simplefilter("ignore")
from pydifact.segmentcollection import RawSegmentCollection

content = open(sys.argv[1], "rb").read().removeprefix(b"\xef\xbb\xbf")
try:
    text = content.decode("utf-8")
except UnicodeDecodeError:
    text = content.decode("latin-1")
for segment in RawSegmentCollection.from_str(text).segments:
    elements = [[part] if isinstance(part, str) else part for part in segment.elements]
    print(json.dumps([segment.tag, [[str(value).strip() for value in element] for element in elements]]))
