"""Virtual time follows wall time at the chosen speed, and work is cut into short pieces."""

from app.workers.pacing import CHUNK_SECONDS, MAX_CHUNK, MIN_CHUNK, Pacer, Throttle

RATE = 200_000_000


def test_at_a_hundredth_of_real_time_a_tenth_of_a_second_is_a_millisecond_of_cycles() -> None:
    assert Pacer("0.01", RATE, 50.0, 1000).due(50.1, 1000) in range(1000 + 199_999, 1000 + 200_001)


def test_at_full_speed_nothing_limits_the_position() -> None:
    assert Pacer("max", RATE, 0.0, 0).due(1.0, 0) is None


def test_the_slowest_speed_waits_for_its_next_cycle() -> None:
    pacer = Pacer("1e-7", RATE, 0.0, 0)
    assert pacer.due(0.01, 0) == 0
    assert abs(pacer.wait(0.01, 0) - 0.04) < 1e-9
    assert pacer.due(0.051, 0) == 1


def test_a_slow_lab_wakes_its_worker_fifty_times_a_second() -> None:
    pacer = Pacer("0.01", RATE, 0.0, 0)
    position, wall, wakes = 0, 0.0, 0
    while wall < 1.0:
        wall += pacer.wait(wall, position) + 1e-9
        position = pacer.due(wall, position) or 0
        wakes += 1
    assert wakes in range(49, 53)
    assert abs(position - RATE // 100) < RATE // 1000


def test_a_lab_that_cannot_keep_up_does_not_sprint_later() -> None:
    pacer = Pacer("1", RATE, 0.0, 0)
    due = pacer.due(100.0, 0)
    assert due is not None
    assert due <= RATE
    later = pacer.due(100.1, due)
    assert later is not None
    assert later - due <= RATE


def test_achieved_speed_is_measured_over_about_a_second() -> None:
    pacer = Pacer("max", RATE, 0.0, 0)
    for tenth in range(1, 31):
        pacer.mark(tenth / 10, tenth * RATE // 20)
    assert pacer.achieved(0.0, 0) is None or pacer.achieved(3.0, 30 * RATE // 20) == 0.5


def test_chunks_shrink_when_cycles_become_expensive_and_grow_again() -> None:
    throttle = Throttle()
    for _ in range(20):
        throttle.learn(throttle.chunk, throttle.chunk / 1e8)
    assert throttle.chunk == int(1e8 * CHUNK_SECONDS)
    throttle.learn(throttle.chunk, 4.0)
    assert throttle.chunk <= 1000
    for _ in range(40):
        throttle.learn(throttle.chunk, 1e-6)
    assert throttle.chunk == MAX_CHUNK
    throttle.learn(MAX_CHUNK, 1e6)
    assert throttle.chunk == MIN_CHUNK
