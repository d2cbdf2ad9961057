"""The security annotation: names, roles, and what is inferred."""

import json

import pytest
from interface_designs import interface, loaded

from openforge.errors import DesignError, InterfaceError
from openforge.interface import Interface, Kind, effective
from openforge.schema_crypto import InterfaceSection

ARRAYS = ("arrays", "arrays.sv")
SHARES = {"x": ["share0", "share1"]}


def refused(match, top="core", source="core.sv", **section):
    with pytest.raises(InterfaceError, match=match) as caught:
        interface(section, top, source)
    for problem in caught.value.problems:
        assert problem.field.startswith("verification.crypto_verification.interface")
        assert "\n" not in problem.message
        assert len(problem.message) < 500
    return caught.value


def texts(found):
    return [bits.text for bits in found]


def reasons(found, field):
    return {row.value: row.why for row in found.inferred if row.field == field}


def test_everything_but_secrets_is_inferred():
    """Clock, reset, public inputs, start, end, observables: each with its reason."""
    found = interface({"secrets": ["key"]})
    assert (found.clock, found.rising) == ("clk", True)
    reset = found.reset
    assert (reset.signal, reset.active_low, reset.asynchronous, reset.cycles) == (
        *("rst_n", True, True),
        2,
    )
    assert texts(found.secrets) == ["key"]
    assert texts(found.public) == [
        *("start", "mode", "data", "addr", "share0", "share1", "mask", "wide", "we"),
    ]
    assert (found.start.text, found.done.text, found.done_cycles) == ("start", "done", None)
    assert texts(found.observables) == ["word_addr", "status", "in_ready", "done", "strange"]
    assert found.unobserved == ("result", "equal", "passed")
    assert {row.field for row in found.inferred} == {
        *("clock", "reset", "public", "start", "done", "observables", "unobserved")
    }
    assert all(row.why for row in found.inferred)
    assert "data" in reasons(found, "unobserved")["equal"]
    assert Interface.model_validate_json(json.dumps(found.model_dump(mode="json"))) == found


def test_what_is_given_is_taken():
    """A full annotation leaves nothing to infer."""
    given = {
        "clock": "clk",
        "reset": {"signal": "rst_n", "active": "low", "cycles": 5},
        "secrets": ["key"],
        "public": ["start", "mode", "data", "addr", "share0", "share1", "wide", "we"],
        "randoms": ["mask"],
        "start": {"signal": "we"},
        "done": {"cycles": 40},
        "observables": ["strange", "u_cell.gen[1].r"],
        "constants": {"mode": 1, "addr": 15},
        "assume": ["addr != 3", "stable(mode)"],
        "declassify": [{"signal": "state", "reason": "the standard says so"}],
    }
    found = interface(given)
    assert found.inferred == ()
    assert found.reset.cycles == 5
    assert (found.start.text, found.done, found.done_cycles) == ("we", None, 40)
    assert texts(found.observables) == ["strange", "u_cell.gen[1].r"]
    assert found.constants == {"mode": 1, "addr": 15}
    assert found.assume == ("addr != 3", "stable(mode)")
    assert [(d.bits.text, d.bits.kind, d.reason) for d in found.declassify] == [
        ("state", Kind.REGISTER, "the standard says so")
    ]
    assert "done" in found.unobserved


NAMES = [
    ("key", "key", Kind.INPUT, range(8)),
    ("key[15:12]", "key", Kind.INPUT, range(4, 8)),
    ("key[8]", "key", Kind.INPUT, [0]),
    ("data[0:3]", "data", Kind.INPUT, range(4, 8)),
    ("data[7]", "data", Kind.INPUT, [0]),
    ("state", "state", Kind.REGISTER, range(4)),
    ("mixed", "mixed", Kind.NET, range(4)),
    ("u_cell.gen[2].r", "u_cell.gen[2].r", Kind.REGISTER, range(2)),
    ("u_cell.gen[2].r[1]", "u_cell.gen[2].r", Kind.REGISTER, [1]),
    ("u_cell.gen[2].r[1:0]", "u_cell.gen[2].r", Kind.REGISTER, range(2)),
    ("table_mem", "table_mem", Kind.MEMORY, []),
    ("table_mem[4]", "table_mem", Kind.MEMORY, [4]),
    ("table_mem[19:18]", "table_mem", Kind.MEMORY, [18, 19]),
    ("table_mem[18:19]", "table_mem", Kind.MEMORY, [18, 19]),
    ("u_cell.d[2]", "share0", Kind.INPUT, [2]),  # nothing but a port under another name
]


@pytest.mark.parametrize(("text", "name", "kind", "positions"), NAMES)
def test_names_are_bits(text, name, kind, positions):
    """A name is found as it was declared, whatever it is, with its place."""
    bits = interface({"secrets": [text]}).secrets[0]
    assert (bits.text, bits.name, bits.kind) == (text, name, kind)
    assert list(bits.positions) == list(positions)
    assert bits.location.file == "core.sv"
    assert bits.location.line > 1


WRONG_NAMES = [
    ("kee", "has no 'kee'; did you mean key"),
    ("top.u_cell.gen[2].r", r"did you mean u_cell.gen\[0\].r"),
    ("stat", "did you mean state"),
    ("table_men[3]", "did you mean table_mem"),
    ("nothing_like_it", "has no 'nothing_like_it'$"),
    ("key[7:0]", r"outside of 'key', declared as \[15:8\]"),
    ("key[16]", r"declared as \[15:8\]"),
    ("key[8:15]", r"runs against 'key', declared as \[15:8\]; write \[15:8\]"),
    ("data[3:0]", r"declared as \[0:7\]; write \[0:3\]"),
    ("table_mem[3]", r"memory 'table_mem', declared as \[4:19\]"),
    ("table_mem[4][3:0]", "two ranges"),
    ("unused", "no output depends on it"),
    ("x" * 1000, r"has no 'x{77}\.\.\.'"),
]


@pytest.mark.parametrize(("text", "message"), WRONG_NAMES)
def test_what_is_not_there_is_refused(text, message):
    """A misspelt name comes with right ones, a range with the declared one."""
    refused(message, secrets=[text])


def test_all_faults_are_told_at_once():
    """One error has every fault, with its field."""
    error = refused("kee", secrets=["kee"], randoms=["musk"], constants={"moed": 1})
    assert [problem.field.rpartition(".")[2] for problem in error.problems] == [
        *("secrets", "randoms", "constants")
    ]


def test_a_part_of_a_port_is_secret():
    """The other bits of the port are public, by the numbers of its declaration."""
    found = interface({"secrets": ["key[12:11]", "data[2:5]"]})
    assert texts(found.secrets) == ["key[12:11]", "data[2:5]"]
    parts = [bits.text for bits in found.public if bits.name in ("key", "data")]
    assert parts == ["key[10:8]", "key[15:13]", "data[6:7]", "data[0:1]"]


def test_inputs_in_no_list_are_public():
    """A list that is not complete is completed, and says so."""
    found = interface({"secrets": ["key"], "public": ["we", "data[0:3]"]})
    assert texts(found.public)[:3] == ["we", "data[0:3]", "start"]
    assert "data[4:7]" in texts(found.public)
    (why,) = reasons(found, "public").values()
    assert "in no list" in why


def test_shares_are_secrets():
    """Every share is one, once."""
    found = interface({"shares": SHARES, "secrets": ["share0", "key"]})
    assert texts(found.secrets) == ["share0", "key", "share1"]
    assert texts(found.shares[0].of) == ["share0", "share1"]
    assert found.shares[0].modulus is None
    found = interface({"shares": {"y": {"of": ["share0", "share1"], "modulus": 16}}})
    assert found.shares[0].modulus == 16


OVERLAPS = [
    ("'clk' is secret here, and the clock too", {"secrets": ["clk"]}),
    ("'rst_n' is secret here, and the reset too", {"secrets": ["rst_n"]}),
    ("and the start too", {"secrets": ["start"], "start": {"signal": "start"}}),
    ("and a constant too", {"secrets": ["mode"], "constants": {"mode": 1}}),
    ("'state' is a secret too", {"secrets": ["state"], "observables": ["state"]}),
    ("'key' is public here, and secret too", {"secrets": ["key"], "public": ["key"]}),
    (r"but 'key\[9:8\]', secret, has bits of it", {"secrets": ["key[9:8]"], "public": ["key"]}),
    ("'u_cell.d' is random here, but 'share0'", {"secrets": ["share0"], "randoms": ["u_cell.d"]}),
    ("'key' is random here, and secret too", {"secrets": ["key"], "randoms": ["key"]}),
    ("'key' is there twice", {"secrets": ["key", "key"]}),
    ("have bits in common", {"secrets": ["key[9:8]", "key[10:9]"]}),
    ("have bits in common", {"secrets": ["table_mem", "table_mem[9:11]"]}),
    ("'mask' is public here, and random too", {"randoms": ["mask"], "public": ["mask"]}),
    ("'result' is an output", {"secrets": ["result"]}),
    ("'result' is an output", {"randoms": ["result"]}),
    ("is a memory, which has no fresh value", {"randoms": ["table_mem"]}),
    ("one width, in bits, were expected", {"shares": {"x": ["share0", "wide"]}}),
    ("has bits of another share", {"shares": {"x": ["share0", "share0"]}}),
    ("has bits of another share", {"shares": {**SHARES, "y": ["share1", "mask"]}}),
    ("in part among the secrets", {"shares": SHARES, "secrets": ["share0[1:0]"]}),
    ("need 12 bits", {"shares": {"x": {"of": ["share0", "share1"], "modulus": 3329}}}),
    ("two shares or more", {"shares": {"x": ["share0"]}}),
    ("and the reset too", {"constants": {"rst_n": 1}}),
    ("and the start too", {"constants": {"start": 1}, "start": {"signal": "start"}}),
    ("2 does not fit 'mode', which has 1 bits", {"constants": {"mode": 2}}),
    ("-1 does not fit", {"constants": {"mode": -1}}),
    ("no input 'moda'; did you mean mode", {"constants": {"moda": 1}}),
    ("no input 'result'", {"constants": {"result": 1}}),
]


@pytest.mark.parametrize(("message", "section"), OVERLAPS)
def test_contradictions_are_refused(message, section):
    """Roles that exclude each other, and values that do not fit."""
    refused(message, **section)


ENDS = [
    ("not an input", {"start": {"signal": "done"}}),
    ("one bit was expected, 'addr' has 4", {"start": {"signal": "addr"}}),
    ("no input 'strat'; did you mean start", {"start": {"signal": "strat"}}),
    ("'start' is an input", {"done": {"signal": "start"}}),
    ("one bit was expected, 'result' has 8", {"done": {"signal": "result"}}),
    ("did you mean done", {"done": {"signal": "dome"}}),
    ("no input 'clock'", {"clock": "clock"}),
    ("'we' clocks nothing; every register is clocked by 'clk'", {"clock": "we"}),
    ("no input 'rstn'; did you mean rst_n", {"reset": {"signal": "rstn"}}),
    ("'done' is not an input", {"reset": {"signal": "done"}}),
    ("an input of one bit was expected", {"reset": {"signal": "addr"}}),
    ("and the clock too", {"reset": {"signal": "clk"}}),
    ("'key' is an input", {"observables": ["key"]}),
    ("'table_mem' is a memory", {"observables": ["table_mem"]}),
]


@pytest.mark.parametrize(("message", "section"), ENDS)
def test_control_signals_that_cannot_be_are_refused(message, section):
    """Clock, reset, start, end and observables are what they can be."""
    refused(message, **section)


@pytest.mark.parametrize("name", ["good_asynchronous", "good_synchronous", "good_two"])
def test_a_reset_is_recognised(name):
    """By nature or by name; of several, the asynchronous one."""
    found = interface(top=name, source="resets.sv")
    assert (
        found.reset.signal
        == {
            "good_asynchronous": "nuke",
            "good_synchronous": "reset",
            "good_two": "rst_n",
        }[name]
    )
    assert found.reset.asynchronous == (name != "good_synchronous")
    if name == "good_two":
        assert "srst" in texts(found.public)
        assert "srst" in reasons(found, "reset")["rst_n"]


@pytest.mark.parametrize("name", ["bad_clear", "bad_load"])
def test_what_only_looks_like_a_reset_is_none(name):
    """A synchronous clear and a load of data stay public inputs, unless they are named."""
    found = interface(top=name, source="resets.sv")
    signal = name.removeprefix("bad_")
    assert found.reset is None
    assert signal in texts(found.public)
    said = {"reset": {"signal": signal, "active": "high"}}
    reset = interface(said, top=name, source="resets.sv").reset
    assert (reset.signal, reset.active_low) == (signal, False)
    assert reset.asynchronous == (name == "bad_load")


def test_a_design_without_control_needs_observables():
    """Outputs that are all data cannot show the timing, unless the user says so."""
    refused("name them in interface.observables", top="bad_only_data", source="outputs.sv")
    found = interface({"observables": ["carry"]}, "bad_only_data", "outputs.sv")
    assert found.unobserved == ("dout",)
    found = interface({"observables": ["dout[7:6]", "carry"]}, "bad_only_data", "outputs.sv")
    assert found.unobserved == ("dout[5:0]",)


def test_a_wide_state_is_data():
    """The state of a permutation is no state machine."""
    found = interface({}, "good_wide_state", "outputs.sv")
    assert texts(found.observables) == ["fsm_state"]


def test_the_end_is_observed():
    """What ends the operation is an observable, whatever its name."""
    found = interface({"done": {"signal": "equal"}})
    assert "equal" in texts(found.observables)


ASSUMED = [
    "addr != 3",
    "stable(mode)",
    "addr[3:2] == 2'b01 && !(we | mode)",
    "(addr == 4'hF) -> data[0:3] < 12",
    "public(state)",
    "public(u_cell.gen[0].r[1:0]) && stable( we )",
    "rst_n",
    "key[15:12] == 4'd3",
]


@pytest.mark.parametrize("text", ASSUMED)
def test_assumptions_are_kept(text):
    """Expressions over public inputs are returned as they are."""
    assert interface({"secrets": ["key[9:8]"], "assume": [text]}).assume == (text,)


NOT_ASSUMED = [
    ("key == 0", "'key' is secret"),
    ("key[8]", "is secret"),
    ("stable(key)", "is secret"),
    ("public(key)", "is secret"),
    ("public(u_cell.d)", "'u_cell.d' is secret"),
    ("mask == 0", "is random"),
    ("clk", "is the clock"),
    ("state == 0", "'state' is not an input; write public"),
    ("done", "'done' is not an input"),
    ("adr == 0", "no 'adr'; did you mean addr"),
    ("addr[4] == 0", "outside of 'addr'"),
    ("bits(addr) == 0", "'bits' cannot be called"),
    ("stable(we", "closed brackets"),
    ("we) || (mode", "closed brackets"),
    ("we, mode", "one expression"),
]


@pytest.mark.parametrize(("text", "message"), NOT_ASSUMED)
def test_assumptions_that_could_hide_a_leak_are_refused(text, message):
    """An assumption says nothing about secrets, randoms or internal state."""
    section = {"secrets": ["key[9:8]", "share0"], "randoms": ["mask"]}
    refused(message, **section, assume=[text])


def test_short_fields_are_merged():
    """Secrets and public inputs of a check are those of the interface, and must not differ."""
    section = InterfaceSection(secrets=("key",))
    assert effective(section, (), ("we",)).public == ("we",)
    assert effective(section, ("key",), ()).secrets == ("key",)
    assert effective(InterfaceSection(), ("key",), ()).secrets == ("key",)
    with pytest.raises(InterfaceError, match="interface.secrets: differs from 'secrets'"):
        effective(section, ("data",), ())


def test_inouts_are_refused():
    """A port that is input and output has no role."""
    refused("inout ports: pad", top="bad_inout", source="clocking.sv")


def test_a_design_that_cannot_be_clocked_is_refused():
    """The faults of the clocking are the design's, not the annotation's."""
    with pytest.raises(DesignError, match="clk_a"):
        interface(top="bad_two_clocks", source="clocking.sv")


def test_a_forwarded_clock_is_not_observed():
    """An output that is the clock shows nothing."""
    found = interface(top="good_forwarded", source="clocking.sv")
    assert found.unobserved == ("clk_out",)
    assert "clock" in reasons(found, "unobserved")["clk_out"]


def test_a_combinational_design_has_no_clock():
    """Without registers there is none, and one that is given must be an input."""
    assert interface(top="good_combinational", source="clocking.sv").clock is None
    found = interface({"clock": "a"}, top="good_combinational", source="clocking.sv")
    assert (found.clock, texts(found.public)) == ("a", ["b"])
    refused("no input 'clk'", top="good_combinational", source="clocking.sv", clock="clk")


def test_the_graph_is_that_of_the_design():
    """Every input bit has exactly one role."""
    _, graph = loaded("core")
    found = interface({"secrets": ["key[9:8]", "state"], "randoms": ["mask"]})
    sides = (*found.secrets, *found.public, *found.randoms)
    inputs = [(b.name, n) for b in sides if b.kind is Kind.INPUT for n in b.positions]
    inputs += [(found.clock, 0), (found.reset.signal, 0)]
    assert sorted(inputs) == sorted((v.name, n) for v in graph.inputs for n in range(len(v.bits)))


@pytest.mark.parametrize("name", ["vector", "named", "struct", "integer", "state"])
def test_an_index_of_a_vector_is_a_bit(name):
    """A vector, a packed struct, an integer and an enumeration have numbered bits."""
    bits = interface({"declassify": [{"signal": f"good_{name}[1]", "reason": "x"}]}, *ARRAYS)
    assert bits.declassify[0].bits.positions == (1,)


@pytest.mark.parametrize("name", ["packed", "named", "unpacked", "bits", "register"])
def test_an_index_of_an_array_is_refused(name):
    """It would name an element in the source, and one bit in the netlist; the whole is fine."""
    refused(f"'bad_{name}' is an array", *ARRAYS, secrets=[f"bad_{name}[1]"])
    assert interface({"secrets": [f"bad_{name}"]}, *ARRAYS).secrets[0].name == f"bad_{name}"


def test_the_longest_name_counts():
    """A port whose name ends like a range is that port, not a bit of another one."""
    found = interface({"secrets": ["key[3]"]}, "odd_names", "odd_names.sv").secrets[0]
    assert (found.name, found.positions) == ("key[3]", (0, 1, 2, 3))
    found = interface({"secrets": ["key[2]"]}, "odd_names", "odd_names.sv").secrets[0]
    assert (found.name, found.positions) == ("key", (2,))
