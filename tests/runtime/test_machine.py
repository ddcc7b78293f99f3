from onnxprune.runtime.machine import machine

INTEL = """processor\t: 0
model name\t: Intel(R) Xeon(R) Processor
flags\t\t: fpu sse avx avx2 fma avx512f avx512_vnni
processor\t: 1
model name\t: Intel(R) Xeon(R) Processor
flags\t\t: fpu sse avx avx2 fma avx512f avx512_vnni
"""
ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd asimddp sve\n"


def test_linux_tells_processor_and_flags(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(INTEL)
    found = machine(cpuinfo)
    assert found.processor == "Intel(R) Xeon(R) Processor"
    assert found.isa == ("avx", "avx2", "fma", "avx512f", "avx512_vnni")
    assert found.to_dict()["cores"] >= 1
    assert found.onnxruntime != "unknown"
    assert "avx512" in str(found)


def test_other_systems_are_asked_otherwise(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(ARM)
    assert machine(cpuinfo).isa == ("asimd", "asimddp", "sve")
    missing = machine(tmp_path / "nothing")
    assert missing.isa == ()
    assert missing.system
