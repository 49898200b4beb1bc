"""Sorted sets: what random commands seldom find (tests/differential has the rest)."""


def test_rangestore_backwards_adds_in_that_order(connection):
    """It can be seen by -0, which a flat sorted set does not know: the long member makes it one that does."""
    long = "y" * 100
    connection.call("ZADD", "source", 4, long, "-0", "zero")
    connection.call("ZRANGESTORE", "forwards", "source", 0, -1)
    connection.call("ZRANGESTORE", "backwards", "source", 0, -1, "REV")
    assert connection.call("ZSCORE", "forwards", "zero") == b"0"
    assert connection.call("ZSCORE", "backwards", "zero") == b"-0"
