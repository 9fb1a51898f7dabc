"""Driven linear systems: known ones are recovered, as by the authors where they are right; and the edges."""

from __future__ import annotations

import warnings
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from zoo.analysis.dynamics import controllability, driven
from zoo.analysis.dynamics.driven import DrivenSystem, dmdc, subspace
from zoo.errors import AnalysisError, SpecError
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.dynamics import InputDSASpec
from zoo.specs.problems import validate


@pytest.fixture(scope="module")
def authors() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("DSA")


def systems(count: int, size: int, inputs: int, radius: float = 0.95, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random stable systems ``A`` ``[count, n, n]``, ``B`` ``[count, n, m]``."""
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(count, size, size, generator=generator, dtype=torch.float64)
    a *= radius / torch.linalg.eigvals(a).abs().amax(1)[:, None, None]
    return a, torch.randn(count, size, inputs, generator=generator, dtype=torch.float64)


def run(a: Tensor, b: Tensor, trials: int, steps: int, noise: float = 0.0) -> tuple[Tensor, Tensor]:
    """States after each of white inputs, ``x[t] = A x[t-1] + B u[t]``, and these inputs."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(trials, steps, b.shape[1], generator=generator, dtype=torch.float64)
    state, states = torch.randn(trials, len(a), generator=generator, dtype=torch.float64), []
    for step in range(steps):
        state = state @ a.T + inputs[:, step] @ b.T
        states.append(state)
    found = torch.stack(states, 1)
    return found + noise * torch.randn(found.shape, generator=generator, dtype=torch.float64), inputs


def apart(a: Tensor, b: Tensor) -> float:
    """The largest distance of an eigenvalue of one to the nearest of the other."""
    x, y = torch.linalg.eigvals(a), torch.linalg.eigvals(b)
    assert len(x) == len(y)
    between = (x[:, None] - y).abs()
    return float(torch.maximum(between.min(0).values, between.min(1).values).max())


def responses(system: DrivenSystem) -> Tensor:
    """What is seen 0 to 7 steps after an impulse, ``[step, unit, input]``: independent of the basis."""
    powers = [system.b]
    for _ in range(7):
        powers.append(system.a @ powers[-1])
    return system.c @ torch.stack(powers)


# Regression on delay vectors --------------------------------------------------------------------


@pytest.mark.parametrize(("trials", "steps"), [(1, 2000), (20, 100), (200, 10)])
def test_dmdc_recovers_a_system_however_it_is_cut_into_trials(trials, steps) -> None:
    (a,), (b,) = systems(1, 10, 3)
    states, inputs = run(a, b, trials, steps)
    found = dmdc(states, inputs, 1, 1, 10, 0.0, "a network")
    assert apart(found.a, a) < 1e-10
    torch.testing.assert_close(found.c @ found.b, b, atol=1e-10, rtol=0)
    torch.testing.assert_close(found.c @ found.a @ found.c.T, a, atol=1e-10, rtol=0)
    if trials > 1:  # joined end to end, the steps between trials would count as transitions
        joined = dmdc(states.reshape(1, -1, 10), inputs.reshape(1, -1, 3), 1, 1, 10, 0.0, "a network")
        assert apart(joined.a, a) > 1e-2


def test_dmdc_sees_what_is_hidden_by_delays_of_both_states_and_inputs() -> None:
    """Two of four units, two delays: exact, as the present and the last input are both in the regression."""
    (a,), (b,) = systems(1, 4, 1)
    states, inputs = run(a, b, 12, 60)
    found = dmdc(states[..., :2], inputs, 2, 1, 4, 0.0, "a network")
    assert apart(found.a, a) < 1e-10
    assert found.b.shape == (4, 2)
    assert found.c.shape == (2, 4)
    present = found.b[:, :1]
    torch.testing.assert_close(found.c @ present, b[:2], atol=1e-10, rtol=0)


@pytest.mark.parametrize("interval", [1, 3])
def test_dmdc_against_the_authors(authors, interval) -> None:
    """One trial and full rank, where theirs is right; in single precision, as theirs is."""
    (a,), (b,) = systems(1, 8, 2, radius=0.8)
    states, inputs = run(a, b, 1, 500, noise=0.3)
    states = states[..., :3]
    theirs = authors.DMDc(
        states[0].numpy(),
        inputs[0].roll(-1, 0).numpy(),  # their input goes with the state that it acts on
        n_delays=4,
        n_control_delays=4,
        delay_interval=interval,
        lamb=0.0,
    )
    theirs.fit()
    ours = dmdc(states, inputs, 4, interval, None, 0.0, "a network")
    assert apart(ours.a, theirs.A_v) < 1e-4
    np.testing.assert_allclose(
        torch.linalg.svdvals(ours.b), torch.linalg.svdvals(theirs.B_v), rtol=1e-4, atol=1e-5
    )


def test_dmdc_on_few_directions_against_the_authors(authors) -> None:
    """Their rank is that of states and inputs together, too."""
    (a,), (b,) = systems(1, 8, 2, radius=0.8)
    states, inputs = run(a, b, 1, 500, noise=0.3)
    states = 5 * states[..., :3]
    theirs = authors.DMDc(
        states[0].numpy(),
        inputs[0].roll(-1, 0).numpy(),
        n_delays=6,
        n_control_delays=6,
        rank_input=9,
        rank_output=7,
        lamb=1e-3,
    )
    theirs.fit()
    ours = dmdc(states, inputs, 6, 1, 7, 1e-3, "a network", input_rank=9)
    assert apart(ours.a, theirs.A_v) < 1e-4
    np.testing.assert_allclose(torch.linalg.svdvals(ours.b), torch.linalg.svdvals(theirs.B_v), rtol=1e-3)
    with pytest.raises(AnalysisError, match="have 30 directions together, fewer than input_rank 31"):
        dmdc(states, inputs, 6, 1, 7, 1e-3, "a network", input_rank=31)


# Subspace identification ------------------------------------------------------------------------


@pytest.mark.parametrize("window", [2, 5])
@pytest.mark.parametrize(("trials", "steps"), [(1, 600), (12, 60), (40, 20)])
def test_subspace_recovers_a_system_of_which_a_part_is_seen(trials, steps, window) -> None:
    (a,), (b,) = systems(1, 4, 2)
    states, inputs = run(a, b, trials, steps)
    truth = responses(DrivenSystem(a, b, torch.eye(4, dtype=torch.float64)[:2]))
    found = subspace(states[..., :2], inputs, window, 4, 0.0, "a network")
    assert apart(found.a, a) < 1e-10
    torch.testing.assert_close(responses(found), truth, atol=1e-10, rtol=0)


@pytest.mark.parametrize(("window", "rank"), [(6, None), (15, 8), (40, 12)])
def test_subspace_against_the_authors(authors, window, rank) -> None:
    (a,), (b,) = systems(1, 12, 1, radius=0.9)
    states, inputs = run(a, b, 2, 300, noise=0.05)
    states = states[..., :2]
    theirs = authors.SubspaceDMDc(
        states.numpy(), inputs.roll(-1, 1).numpy(), n_delays=window, rank=rank, lamb=1e-8
    )
    theirs.fit()
    ours = subspace(states, inputs, window, rank, 1e-8, "a network")
    assert apart(ours.a, torch.from_numpy(theirs.A_v)) < 1e-6
    for our, their in ((ours.a, theirs.A_v), (ours.b, theirs.B_v), (ours.c, theirs.C_v)):
        np.testing.assert_allclose(our.abs(), np.abs(their), atol=1e-6)  # up to the signs of the basis


@pytest.mark.parametrize(("noise", "exact"), [(0.05, 1e-8), (0.0, 1e-10)])
def test_both_triangles_are_the_same(monkeypatch, noise, exact) -> None:
    """That of the Gram matrix, where it has the digits, and that of QR, block by block."""
    (a,), (b,) = systems(1, 5, 1)
    states, inputs = run(a, b, 7, 80, noise)
    found = responses(subspace(states[..., :2], inputs, 8, 5, 0.0, "a network"))
    monkeypatch.setattr(driven, "REGULAR", np.inf)
    monkeypatch.setattr(driven, "BLOCK", 1)
    torch.testing.assert_close(
        responses(subspace(states[..., :2], inputs, 8, 5, 0.0, "a network")), found, atol=exact, rtol=0
    )


def test_the_gram_matrix_of_windows_is_that_of_the_windows() -> None:
    generator = torch.Generator().manual_seed(0)
    states, inputs = torch.randn(2, 5, 40, 3, generator=generator, dtype=torch.float64)
    lengths = torch.tensor([40, 9, 23, 12, 31])
    samples = driven._Samples.of(states, inputs, lengths, 8, "", "")
    windows, starts = samples.windows(8), samples.starts(8)
    assert len(starts) == int((lengths - 7).sum())
    whole = windows[starts]
    torch.testing.assert_close(driven._gram(windows, starts, 8), whole.T @ whole)


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("identify", ["dmdc", "subspace"])
def test_padding_is_never_used(identify, noise) -> None:
    (a,), (b,) = systems(1, 4, 1)
    states, inputs = run(a, b, 10, 50, noise)
    lengths = torch.tensor([50, 20, 31, 50, 12, 44, 25, 33, 18, 29])
    padding = torch.arange(50) >= lengths[:, None]
    found = []
    for filling in (0.0, float("nan"), 1e300):
        padded = [part.masked_fill(padding[..., None], filling) for part in (states, inputs)]
        if identify == "dmdc":
            found.append(dmdc(*padded, 1, 1, 4, 0.0, "a network", lengths=lengths))
        else:
            found.append(subspace(*padded, 3, 4, 0.0, "a network", lengths=lengths))
    for other in found[1:]:
        assert torch.equal(found[0].a, other.a)
        assert torch.equal(found[0].b, other.b)
    if not noise:
        assert apart(found[0].a, a) < 1e-10


def test_units_of_measurement_come_back() -> None:
    (a,), (b,) = systems(1, 4, 1)
    states, inputs = run(a, b, 4, 80, noise=0.1)
    for identify in (lambda x, u: dmdc(x, u, 2, 1, 4, 1e-8, ""), lambda x, u: subspace(x, u, 6, 4, 1e-8, "")):
        plain, scaled = (
            responses(identify(states, inputs)),
            responses(identify(1e90 * states, 1e-50 * inputs)),
        )
        torch.testing.assert_close(scaled / 1e140, plain, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("identify", ["dmdc", "subspace"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda x, u: (x[:, :7], u[:, :7]),
            "need trials of at least 8 steps, and trial 0 of a network has 7",
        ),
        (lambda x, u: (x[:1, :12], u[:1, :12]), "too few samples"),
        (lambda x, u: (x, u[:, 1:]), "do not go with states"),
        (lambda x, u: (x, u[..., :0]), "do not go with states"),
        (lambda x, u: (x, u * torch.tensor([1.0, 0.0])), "input 1 of a network never changes"),
        (lambda x, u: (x, torch.ones_like(u)), "input 0 of a network never changes"),
        (lambda x, u: (torch.ones_like(x), u), "the states of a network never change"),
        (lambda x, u: (x, u[..., :1].repeat(1, 1, 2)), "are not rich enough"),
        (lambda x, u: (x, u[:, :1].expand(-1, 60, -1)), "are not rich enough"),
    ],
)
def test_refused(identify, change, message) -> None:
    (a,), (b,) = systems(1, 4, 2)
    states, inputs = change(*run(a, b, 6, 60, noise=0.1))
    arguments = (3, 3, 2) if identify == "dmdc" else (3, 2)
    with pytest.raises(AnalysisError, match=message) as caught:
        getattr(driven, identify)(states, inputs, *arguments, 1e-8, "a network")
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "lengths", [torch.tensor([60.0] * 6), torch.tensor([60] * 5), torch.tensor([61] * 6)]
)
def test_lengths_that_are_none_are_refused(lengths) -> None:
    (a,), (b,) = systems(1, 4, 2)
    with pytest.raises(AnalysisError, match="whole number of at most 60 steps for each of its 6 trials"):
        subspace(*run(a, b, 6, 60), 3, 2, 1e-8, "a network", lengths=lengths)


def test_an_order_that_the_data_do_not_have_is_refused() -> None:
    (a,), (b,) = systems(1, 4, 1)
    states, inputs = run(a, b, 6, 60)
    with pytest.raises(AnalysisError, match=r"through 4 dimensions .* fewer than rank 5"):
        subspace(states[..., :2], inputs, 4, 5, 1e-8, "a network")
    with pytest.raises(AnalysisError, match="at most 8 dimensions, fewer than rank 9"):
        subspace(states[..., :2], inputs, 4, 9, 1e-8, "a network")
    with pytest.raises(AnalysisError, match=r"have 4 directions .* fewer than rank 5"):
        dmdc(states, inputs, 1, 1, 5, 1e-8, "a network")
    with pytest.raises(AnalysisError, match="singular"):  # what is seen follows from the last sample
        dmdc(states, inputs, 2, 1, None, 0.0, "a network")


def test_what_was_given_is_not_changed() -> None:
    (a,), (b,) = systems(1, 4, 1)
    given = run(a, b, 6, 60, noise=0.1)
    before = [part.clone() for part in given]
    subspace(*given, 4, 3, 1e-8, "")
    dmdc(*given, 4, 1, 3, 1e-8, "")
    assert all(torch.equal(part, old) for part, old in zip(given, before, strict=True))


# Controllability --------------------------------------------------------------------------------


def test_the_controllability_matrix() -> None:
    a = torch.tensor([[[0.0, 1.0], [0.0, 0.5]]], dtype=torch.float64)
    b = torch.tensor([[[0.0], [2.0]]], dtype=torch.float64)
    assert controllability.controllability(a, b).tolist() == [[[0.0, 2.0], [2.0, 1.0]]]
    assert controllability.controllability(a, b, extended=True).tolist() == [
        [[0.0, 2.0, 0.0], [2.0, 1.0, 1.0]]
    ]


def test_distances_of_systems_of_one_dimension() -> None:
    a = torch.tensor([0.5, 0.25], dtype=torch.float64).view(2, 1, 1)
    b = torch.tensor([1.0, -3.0], dtype=torch.float64).view(2, 1, 1)
    pair = torch.tensor([[0, 1]])
    found = controllability.driven_distances(a, b, pair)
    assert (found.joint.item(), found.state.item(), found.input.item()) == (2.0, 0.25, 2.0)
    assert controllability.input_distances(b, pair).item() == 2.0


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize(("size", "inputs"), [(5, 1), (10, 1), (10, 3), (20, 2)])
def test_turned_copies_have_no_distance(size, inputs, extended) -> None:
    a, b = systems(30, size, inputs, radius=0.9)
    turn = torch.linalg.qr(systems(30, size, 1, seed=1)[0]).Q
    pairs = torch.arange(60).view(2, 30).T
    both = torch.cat([a, turn @ a @ turn.mT]), torch.cat([b, turn @ b])
    found = controllability.driven_distances(*both, pairs, extended=extended)
    for part in (found.joint, found.state, found.input, controllability.input_distances(both[1], pairs)):
        assert part.max() < 1e-12


def test_turned_copies_that_inputs_hardly_reach() -> None:
    """Controllability matrices of a condition near 1e8, whose product has lost the weakest directions."""
    a, b = systems(30, 25, 1, radius=0.9)
    turn = torch.linalg.qr(systems(30, 25, 1, seed=1)[0]).Q
    both = torch.cat([a, turn @ a @ turn.mT]), torch.cat([b, turn @ b])
    found = controllability.driven_distances(*both, torch.arange(60).view(2, 30).T)
    assert found.joint.max() < 1e-12
    assert found.state.max() < 1e-6


@pytest.mark.parametrize("extended", [False, True])
def test_distances_against_the_authors(authors, extended) -> None:
    """Their parts for state and input, which are right, and the joint distance from their rotation."""
    a, b = systems(6, 8, 2, radius=0.8)
    pairs = torch.combinations(torch.arange(6))
    theirs = authors.ControllabilitySimilarityTransformDist(return_distance_components=True)
    if not extended:
        theirs.get_controllability_matrix = lambda a, b: np.hstack(
            [np.linalg.matrix_power(a, k) @ b for k in range(len(a))]
        )
    found = controllability.driven_distances(a, b, pairs, extended=extended)
    for number, (i, j) in enumerate(pairs.tolist()):
        systems_of_pair = [part[k].numpy() for part in (a, b) for k in (i, j)]
        _, state, drive = theirs.fit_score(*systems_of_pair)
        assert found.state[number].item() == pytest.approx(state, rel=1e-9)
        assert found.input[number].item() == pytest.approx(drive, rel=1e-9)
        (a1, a2, b1, b2) = systems_of_pair
        turn = theirs.compare_systems_procrustes(A1=a1, B1=b1, A2=a2, B2=b2)[0]
        k1, k2 = (theirs.get_controllability_matrix(*each) for each in ((a1, b1), (a2, b2)))
        assert found.joint[number].item() == pytest.approx(np.linalg.norm(turn @ k1 - k2), rel=1e-9)
    alone = controllability.input_distances(b, pairs)
    control = authors.ControllabilitySimilarityTransformDist(compare="control")
    expected = [control.compare_B(b[i].numpy(), b[j].numpy()) for i, j in pairs.tolist()]
    np.testing.assert_allclose(alone, expected, rtol=1e-9)


def test_blocks_of_pairs_do_not_change_distances(monkeypatch) -> None:
    a, b = systems(6, 5, 2)
    pairs = torch.combinations(torch.arange(6))
    expected = controllability.driven_distances(a, b, pairs).joint
    monkeypatch.setattr(controllability, "BLOCK", 120)
    torch.testing.assert_close(controllability.driven_distances(a, b, pairs).joint, expected)


# The comparator ---------------------------------------------------------------------------------


def seen(a: Tensor, b: Tensor, units: int = 0, noise: float = 0.0) -> Trajectories:
    states, inputs = run(a, b, 8, 120, noise)
    return Trajectories.wrap(states[..., :units] if units else states, inputs)


@pytest.mark.parametrize("identification", ["n4sid", "dmdc"])
def test_each_input_goes_with_the_step_that_it_leads_to(comparator, identification) -> None:
    (a,), (b,) = systems(1, 4, 2)
    found = (
        comparator(
            "input-dsa",
            delays=1 if identification == "dmdc" else 3,
            rank=4,
            ridge=0.0,
            identification=identification,
        )
        .features(seen(a, b))
        .values
    )
    operator, drive = found["operator"], found["input"]
    assert apart(operator, a) < 1e-10
    if identification == "n4sid":
        return  # the basis is the system's own; what does not depend on it is tested above
    torch.testing.assert_close(drive.T @ drive, b.T @ b, atol=1e-9, rtol=0)
    torch.testing.assert_close(drive.T @ operator @ drive, b.T @ a @ b, atol=1e-9, rtol=0)


def test_dynamics_are_told_apart_whatever_the_inputs_do(comparator) -> None:
    """Two dynamics, two ways in, half of the units seen."""
    a, b = systems(2, 6, 1, radius=0.8)
    networks = [seen(a[i], b[j], units=3, noise=1e-3) for i in range(2) for j in range(2)]
    values = comparator("input-dsa", rank=6, distance="state").matrix(networks)
    assert max(values[0, 1], values[2, 3]) < 0.05
    assert values[:2, 2:].min() > 0.5


def test_parts_come_with_the_joint_distance(comparator) -> None:
    a, b = systems(3, 4, 2)
    networks = [seen(*each) for each in zip(a, b, strict=True)]
    pairs = np.array([[0, 2], [1, 2]])
    for distance in ("joint", "joint-state", "joint-input"):
        metric = comparator("input-dsa", delays=3, rank=4, distance=distance)
        found = metric.measures([metric.features(network) for network in networks], pairs)
        assert list(found) == ["distance", "joint", "joint-state", "joint-input"]
        np.testing.assert_array_equal(found["distance"], found[distance])
        assert (found["joint"] >= found["joint-input"]).all()  # whose columns are among those of the joint


def test_trials_of_different_lengths(comparator) -> None:
    (a,), (b,) = systems(1, 4, 1)
    states, inputs = run(a, b, 5, 80)
    steps = (80, 45, 61, 52, 70)
    cut = [[part[k, :n].numpy() for k, n in enumerate(steps)] for part in (states, inputs)]
    for identification, delays in (("n4sid", 3), ("dmdc", 1)):
        metric = comparator("input-dsa", delays=delays, rank=4, ridge=0.0, identification=identification)
        found = metric.features(Trajectories.wrap(*cut)).values["operator"]
        assert apart(found, a) < 1e-10


def test_systems_that_do_not_correspond_are_refused(comparator) -> None:
    a, b = systems(2, 4, 2)
    two, one = seen(a[0], b[0]), seen(a[1], b[1, :, :1])
    metric = comparator("input-dsa", delays=3, rank=4)
    with pytest.raises(AnalysisError, match=r"has 2 of them .* has 1"):
        metric.matrix([two, one])
    assert comparator("input-dsa", delays=3, rank=4, distance="state").distance(two, one) > 0.01
    fewer = comparator("input-dsa", delays=3, rank=3).features(two)
    with pytest.raises(AnalysisError, match="operators of one size"):
        metric.matrix([two, fewer])
    holes = Trajectories(states=two.states, inputs=two.inputs.clone().fill_(float("nan")), name="net")
    with pytest.raises(AnalysisError, match="the inputs of 'net' hold NaN"):
        metric.features(holes)


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"interval": 2}, "'interval' goes with"), ({"extended": True, "distance": "input"}, "'extended' goes")],
)
def test_fields_that_do_not_go_together(fields, message) -> None:
    with pytest.raises(SpecError, match=message):
        validate(InputDSASpec, fields)


def test_surrogates_stand_for_the_inputs(comparator) -> None:
    (a,), (b,) = systems(1, 4, 1)
    states, inputs = run(a, b, 6, 80)
    whole = Trajectories(states=states, inputs=inputs, outputs=inputs.flip(0), targets=inputs * 2, origin="x")
    fields = {"delays": 3, "rank": 4}
    true = comparator("input-dsa", **fields).features(whole).values
    scaled = comparator("input-dsa", surrogate="targets", **fields).features(whole).values
    torch.testing.assert_close(true["operator"], scaled["operator"])
    torch.testing.assert_close(true["input"], 2 * scaled["input"])
    for surrogate in ("outputs", "noise"):
        metric = comparator("input-dsa", surrogate=surrogate, **fields)
        found, again = (metric.features(whole).values["input"] for _ in range(2))
        assert torch.equal(found, again)
        assert found.norm() < 0.3 * true["input"].norm()
    alone = Trajectories(states=states)
    assert comparator("input-dsa", surrogate="noise", **fields).features(alone).values["input"].shape[1] == 1
    with pytest.raises(AnalysisError, match="needs the outputs of every network"):
        comparator("input-dsa", surrogate="outputs", **fields).features(alone)
