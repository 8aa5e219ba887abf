"""The named places, and up to which passage of each a test strikes."""

RUNTIME = {
    "journal-write": 6,
    "fsync": 6,
    "ack": 3,
    "claim": 3,
    "rpc-sent": 3,
    "rpc-committed": 3,
    "settle": 3,
    "command-written": 4,
    "send": 4,
    "sent": 4,
    "server-ack": 4,
}
BRIDGE = {
    "decrypted-before-commit": 4,
    "mid-commit": 4,
    "committed-before-receipt": 4,
    "receipt-before-event": 4,
    "event-before-frame": 4,
    "frame-before-ack": 3,
    "stored-before-send": 3,
    "sent-before-reply": 3,
}
