"""Speed of imblens against public peers, plain loops and the machine's limit, measured side by side.

A module here has a function `rows()` that returns or yields dicts with operation, size, ours_s, peer, peer_s, ratio and
target. A ratio is the peer's time over ours; where the peer is a limit, ours over the limit. A row that is not of seconds
has a `unit`.
"""
