import tarfile

import matplotlib.cbook
import numpy as np
import pytest
import skimage.color
import tensorflow as tf
from PIL import Image

import data
import sources


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# --- Pixels ---


def slow_bicubic(signal, length):
    """MATLAB's imresize of a 1-D signal, straight from its definition."""
    ratio = len(signal) / length
    stretch = max(1, ratio)
    mirrored = [*signal, *signal[::-1]]
    result = []
    for i in range(length):
        centre = (i + 0.5) * ratio - 0.5
        total = weights = 0.0
        for j in range(int(centre - 3 * stretch) - 1, int(centre + 3 * stretch) + 2):
            x = abs(centre - j) / stretch
            if x < 1:
                weight = 1.5 * x**3 - 2.5 * x**2 + 1
            elif x < 2:
                weight = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
            else:
                weight = 0
            total += weight * mirrored[j % len(mirrored)]
            weights += weight
        result.append(total / weights)
    return result


@pytest.mark.parametrize(
    "old, new", [(12, 3), (13, 4), (5, 17), (1, 4), (30, 1), (9, 9)]
)
def test_bicubic_follows_the_definition(old, new):
    signal = noise(old).astype(float)
    rows = data.bicubic_resize(signal[:, None, None], new, 1)
    columns = data.bicubic_resize(signal[None, :, None], 1, new)
    np.testing.assert_allclose(rows[:, 0, 0], slow_bicubic(signal, new), atol=1e-9)
    np.testing.assert_array_equal(rows[:, 0, 0], columns[0, :, 0])


def test_bicubic_rounds_and_clips_only_uint8():
    checks = np.kron([[0, 255], [255, 0]], np.ones((4, 4)))[..., None]
    as_float = data.bicubic_resize(checks, 31, 31)
    assert as_float.dtype == np.float64
    assert as_float.min() < 0 and as_float.max() > 255
    as_uint8 = data.bicubic_resize(checks.astype(np.uint8), 31, 31)
    assert as_uint8.dtype == np.uint8
    np.testing.assert_array_equal(as_uint8, np.clip(np.floor(as_float + 0.5), 0, 255))
    assert data.bicubic_resize(checks.astype(np.float32), 3, 3).dtype == np.float32


def test_bicubic_is_identical_to_matlab(photographs):
    hr = data.read_image(photographs / "matlab_bicubic/baboon_HR.png")
    lr = data.read_image(photographs / "matlab_bicubic/baboon_LR_x4.png")
    ours = data.bicubic_resize(hr, hr.shape[0] // 4, hr.shape[1] // 4)
    np.testing.assert_array_equal(ours, lr)


def test_bicubic_wants_channels():
    with pytest.raises(ValueError, match=r"\[H, W, C\]"):
        data.bicubic_resize(noise(4, 4), 2, 2)


def test_luma_is_that_of_scikit_image():
    image = noise(7, 5, 3)
    expected = skimage.color.rgb2ycbcr(image)[..., :1]
    np.testing.assert_allclose(data.luma(image), expected, atol=1e-9)
    tensor = data.luma(tf.constant(image, tf.float32))
    np.testing.assert_allclose(tensor, expected, atol=1e-4)


# --- Reading pictures ---


def test_read_image_makes_upright_rgb(tmp_path):
    pixels = noise(6, 9, 3)
    turned = Image.fromarray(np.rot90(pixels))
    exif = turned.getexif()
    exif[0x0112] = 6  # the camera was held so that the picture is to be turned back
    turned.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(data.read_image(tmp_path / "turned.png"), pixels)

    grey = pixels[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16 bit é.png")
    for name in ("grey.png", "16 bit é.png"):
        np.testing.assert_array_equal(
            data.read_image(tmp_path / name), np.repeat(grey[..., None], 3, axis=2)
        )


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_damaged_exif_costs_no_picture_and_hides_no_damage(tmp_path, ending):
    path = tmp_path / f"photo.{ending}"
    picture = Image.fromarray(noise(60, 90, 3))
    picture.save(path, exif=b"Exif\0\0garbage, not a TIFF header")
    assert data.read_image(path).shape == (60, 90, 3)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match="photo.* cannot be read as a picture"):
        data.read_image(path)


@pytest.mark.parametrize("content", [b"", b"not a picture", "truncated"])
def test_unreadable_picture_is_named_before_training(tmp_path, make_pictures, content):
    make_pictures(tmp_path, ["a.png", "b.png"])
    broken = tmp_path / "c.png"
    if content == "truncated":
        content = (tmp_path / "a.png").read_bytes()[:2000]
    broken.write_bytes(content)
    with pytest.raises(ValueError, match=r"c\.png cannot be read as a picture"):
        data.load(tmp_path, "all", 2)


# --- Datasets ---


def names(dataset, split, scale=2):
    return set(data.load(dataset, split, scale).pictures.names)


def test_leaves_are_drawn_once_into_the_cache(small_leaves, keras_home):
    data.load("leaves", "test", 4)
    assert not list(keras_home.rglob("*.png"))  # a photograph
    data.load("leaves", "validation", 4)
    pairs = data.load("leaves", "train", 4)
    drawn = sorted(keras_home.rglob("*.png"))
    assert len(drawn) == 5 and len(pairs) == 3
    times = [path.stat().st_mtime_ns for path in drawn]
    drawn[0].unlink()
    data.load("leaves", "train", 4)
    assert [p.stat().st_mtime_ns for p in drawn[1:]] == times[1:]
    lr, hr = next(iter(pairs))
    np.testing.assert_array_equal(hr, data.read_image(drawn[0]))
    np.testing.assert_array_equal(lr, data.bicubic_resize(hr.numpy(), 16, 16))
    assert len({path.read_bytes() for path in drawn}) == 5


def test_leaves_are_tested_on_a_photograph(small_leaves):
    (photograph,) = names("leaves", "test")
    assert photograph == matplotlib.cbook.get_sample_data(
        "grace_hopper.jpg", asfileobj=False
    )


def test_draw_leaves_is_seeded_and_covers_the_picture():
    image = data.draw_leaves(96, 5)
    assert image.shape == (96, 96, 3) and image.dtype == np.uint8
    np.testing.assert_array_equal(image, data.draw_leaves(96, 5))
    assert (image != data.draw_leaves(96, 6)).mean() > 0.5
    # Occlusion leaves edges everywhere: no quarter of the picture is of one colour.
    for quarter in (image[:48, :48], image[48:, :48], image[:48, 48:], image[48:, 48:]):
        assert quarter.std() > 10


@pytest.mark.parametrize("validation", ["validation", "val"])
def test_folder_with_splits(tmp_path, make_pictures, validation):
    for number, split in enumerate(["train", validation, "test"]):
        make_pictures(tmp_path / split, [f"{split} é.png"], seed=number)
    for role, split in [
        ("train", "train"),
        ("validation", validation),
        ("test", "test"),
    ]:
        assert names(tmp_path, role) == {str(tmp_path / split / f"{split} é.png")}


def test_flat_folder_holds_out_a_tenth_by_name(tmp_path, make_pictures):
    files = [f"{number:02}.png" for number in range(30)]
    make_pictures(tmp_path, files)
    (tmp_path / "notes.txt").write_text("not a picture, nor named as one")
    (tmp_path / "clip.mpg").write_text("not a picture, though Pillow knows its ending")
    train, validation = names(tmp_path, "train"), names(tmp_path, "validation")
    assert len(validation) == 3 and not train & validation
    assert train | validation == names(tmp_path, "all")
    assert names(tmp_path, "validation") == validation


def test_scores_are_those_of_the_validation_where_there_is_no_test(
    tmp_path, make_pictures, capsys
):
    make_pictures(tmp_path / "flat", ["a.png", "b.png"])
    assert data.scored_split(tmp_path / "flat") == "validation"
    assert "flat has no test pictures" in capsys.readouterr().out
    for split in ("train", "val", "test"):
        make_pictures(tmp_path / "split" / split, ["a.png"])
    assert data.scored_split(tmp_path / "split") == "test"
    make_pictures(tmp_path / "flat" / "test", ["c.png"])
    assert data.scored_split(tmp_path / "flat") == "test"
    assert names(tmp_path / "flat", "test") == {str(tmp_path / "flat/test/c.png")}


def test_picture_too_small_to_be_scored_is_named_before_training(
    tmp_path, make_pictures
):
    for split in ("train", "validation", "test"):
        make_pictures(tmp_path / split, ["a.png"])
    make_pictures(tmp_path / "test", ["icon.png", "small.png"], size=(19, 18))
    assert len(data.load(tmp_path, "test", 3)) == 3
    with pytest.raises(ValueError, match=r"2 pictures.*\n.*icon\.png is 16x16 .*19x19"):
        data.load(tmp_path, "test", 4)
    make_pictures(tmp_path / "flat", ["icon.png", "small.png"], size=(19, 18))
    assert len(data.load(tmp_path / "flat", "train", 4)) == 1
    for split in ("validation", "all"):  # which are scored where there is no test
        with pytest.raises(ValueError, match=r"\.png is 16x16 .*19x19"):
            data.load(tmp_path / "flat", split, 4)


def test_pairs_by_name(tmp_path, make_pictures):
    make_pictures(tmp_path, ["a_HR.png", "b_HR.png"], size=(40, 24))
    make_pictures(tmp_path, ["a_LR.png", "b_LR.png"], size=(20, 12), seed=1)
    pairs = list(data.load(tmp_path, "all", 2))
    assert len(pairs) == 2
    np.testing.assert_array_equal(pairs[0][0], data.read_image(tmp_path / "a_LR.png"))
    np.testing.assert_array_equal(pairs[0][1], data.read_image(tmp_path / "a_HR.png"))
    with pytest.raises(ValueError, match=r"a_HR\.png is 20x12 .* SCALE = 4 is 10x6"):
        data.load(tmp_path, "all", 4)
    (tmp_path / "b_LR.png").unlink()
    with pytest.raises(ValueError, match=r"b_HR\.png has no partner"):
        data.load(tmp_path, "all", 2)


@pytest.fixture
def bsds500(keras_home, tmp_path, make_pictures):
    """A small replica of the archive, where get_file looks before it downloads."""
    for number, split in enumerate(["train", "test", "val"]):
        make_pictures(tmp_path / split, [f"{split}.jpg"], seed=number)
    (keras_home / "datasets").mkdir()
    with tarfile.open(keras_home / "datasets/BSR_bsds500.tgz", "w:gz") as archive:
        for split in ("train", "test", "val"):
            archive.add(tmp_path / split, f"BSR/BSDS500/data/images/{split}")


def test_bsds500_that_broke_off_is_fetched_again(bsds500, keras_home, monkeypatch):
    archive = keras_home / "datasets/BSR_bsds500.tgz"
    whole = archive.rename(keras_home / "elsewhere.tgz")
    archive.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    monkeypatch.setattr(sources, "BSDS500_URL", whole.as_uri())
    assert len(names("bsds500", "train")) == 1
    assert archive.read_bytes() == whole.read_bytes()
    assert not list((keras_home / "datasets").glob("tmp*"))


def test_bsds500_tests_on_the_official_val(bsds500):
    roles = {
        role: {name.split("/")[-1] for name in names("bsds500", role)}
        for role in ("train", "validation", "test")
    }
    assert roles == {
        "train": {"train.jpg"},
        "validation": {"test.jpg"},
        "test": {"val.jpg"},
    }


def test_no_picture_has_two_roles(bsds500, small_leaves, tmp_path, make_pictures):
    make_pictures(tmp_path / "flat", [f"{number}.png" for number in range(12)])
    for split in ("train", "validation", "test"):
        make_pictures(tmp_path / "split" / split, [f"{split}.png"])
    for dataset in ("bsds500", "leaves", tmp_path / "flat", tmp_path / "split"):
        roles = ["train", "validation", "test"]
        if dataset == tmp_path / "flat":
            roles.remove("test")
        pictures = [names(dataset, role) for role in roles]
        assert all(pictures)
        assert len(set.union(*pictures)) == sum(map(len, pictures))


def test_bsds500_out_of_reach_says_what_to_do(monkeypatch):
    def unreachable(*args, **kwargs):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(sources.keras.utils, "get_file", unreachable)
    with pytest.raises(
        ValueError, match="BSDS500 could not be fetched.*Put BSR_bsds500.tgz"
    ):
        data.load("bsds500", "train", 4)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("nowhere", "train", 4), "DATASET = 'nowhere' is neither a folder"),
        (("empty", "train", 4), "empty holds no pictures .*, nor folders"),
        (("one", "train", 4), "one needs two pictures or more"),
        (
            ("split", "validation", 4),
            'split has no "validation" pictures, only "train"',
        ),
        (
            ("two", "all", 50),
            "2 pictures .*\n.*a.png is smaller than SCALE = 50 .*\n.*",
        ),
        (
            ("two", "all", 2, "bicubic", 21),
            "2 pictures cannot be used:\n.*a.png is 24x20 .* = 21: .*\n.*b.png",
        ),
        (("two", "all", 0), "SCALE = 0 is not a whole number above 0"),
        (("two", "all", 2.0), "SCALE = 2.0 is not a whole number above 0"),
        (
            ("two", "all", 2, "unknown"),
            "'unknown' is DIV2K's own, and two/a.png has no",
        ),
        (("split", "training", 4), 'split has no "training" pictures, only "train"'),
        (("two", "all", 4, "blur"), "DEGRADATION = 'blur' is not one of bicubic, area"),
    ],
)
def test_errors_say_what_and_where(
    tmp_path, monkeypatch, make_pictures, arguments, message
):
    (tmp_path / "empty").mkdir()
    make_pictures(tmp_path / "one", ["a.png"])
    make_pictures(tmp_path / "two", ["a.png", "b.png"])
    make_pictures(tmp_path / "split/train", ["a.png"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message) as error:
        data.load(*arguments)
    assert str(error.value).count("\n") == message.count("\n")


# --- Batches ---


@pytest.fixture
def pairs(tmp_path, make_pictures):
    make_pictures(tmp_path / "wide", ["a.png", "b.png"], size=(90, 60))
    make_pictures(tmp_path / "wide", ["c.png"], size=(50, 80), seed=3)
    return data.load(tmp_path / "wide", "all", 2)


def as_arrays(batches, count):
    return [(lr.numpy(), hr.numpy()) for lr, hr in batches.take(count)]


def test_patches_are_aligned_and_of_static_shape(pairs):
    batches = data.training_batches(pairs, 2, patch_size=20, batch_size=5)
    lr_spec, hr_spec = batches.element_spec
    assert lr_spec.shape == (5, 20, 20, 3) and hr_spec.shape == (5, 40, 40, 3)
    assert lr_spec.dtype == hr_spec.dtype == tf.uint8
    for lr, hr in as_arrays(batches, 6):
        for lr_patch, hr_patch in zip(lr, hr):
            # Away from the border, where the patch lacks its neighbours.
            again = data.bicubic_resize(hr_patch, 20, 20)
            np.testing.assert_array_equal(again[2:-2, 2:-2], lr_patch[2:-2, 2:-2])


def test_patches_come_in_all_eight_turns_with_channels_untouched():
    rng = np.random.default_rng(0)
    hr = rng.permutation(16 * 16 * 3).reshape(16, 16, 3).astype(np.uint8)
    pairs = tf.data.Dataset.from_tensors((hr[::2, ::2], hr))
    turns = [np.rot90(m, k) for m in (hr, hr[:, ::-1]) for k in range(4)]
    seen = set()
    for lr, hr_batch in as_arrays(data.training_batches(pairs, 2, 8, 16), 8):
        for lr_patch, patch in zip(lr, hr_batch):
            number = [np.array_equal(patch, turn) for turn in turns].index(True)
            seen.add(number)
            # LR is turned alike: every second pixel of the unturned picture.
            m = hr[::2, ::2] if number < 4 else hr[::2, ::2][:, ::-1]
            np.testing.assert_array_equal(lr_patch, np.rot90(m, number % 4))
    assert seen == set(range(8))


def test_patches_reach_every_pixel_of_every_picture():
    # The number of each pixel is its colour, so a patch tells where it comes from.
    sizes = [(9, 7), (5, 12)]
    pictures = []
    for number, (height, width) in enumerate(sizes):
        y, x = np.mgrid[:height, :width]
        lr = np.stack([y, x, np.full_like(y, number)], axis=-1).astype(np.uint8)
        pictures.append((lr, lr.repeat(2, axis=0).repeat(2, axis=1)))
    pairs = tf.data.Dataset.from_generator(
        lambda: iter(pictures), output_types=(tf.uint8, tf.uint8)
    )
    seen = set()
    for lr, hr in as_arrays(data.training_batches(pairs, 2, 4, 16), 40):
        np.testing.assert_array_equal(lr, hr[:, ::2, ::2])
        seen |= {tuple(pixel) for pixel in lr.reshape(-1, 3).tolist()}
    assert seen == {
        (y, x, number)
        for number, (height, width) in enumerate(sizes)
        for y in range(height)
        for x in range(width)
    }


def test_batches_depend_on_seed_and_step_alone(pairs):
    def batches(**kwargs):
        return data.training_batches(pairs, 2, 16, 4, noise=5.0, **kwargs)

    whole = as_arrays(batches(seed=1), 6)
    resumed = as_arrays(batches(seed=1, first_step=4), 2)
    for (lr, hr), (lr_again, hr_again) in zip(whole[4:], resumed):
        np.testing.assert_array_equal(lr, lr_again)
        np.testing.assert_array_equal(hr, hr_again)
    other = as_arrays(batches(seed=2), 1)
    assert (other[0][1] != whole[0][1]).any()
    assert (whole[1][1] != whole[0][1]).any()


def test_noise_is_on_lr_alone():
    grey = np.full((64, 64, 3), 128, np.uint8)
    pairs = tf.data.Dataset.from_tensors((grey[::2, ::2], grey))
    ((lr, hr),) = as_arrays(data.training_batches(pairs, 2, 32, 8, noise=6.0), 1)
    assert (hr == 128).all()
    assert abs(lr.astype(float).std() - 6) < 0.2 and abs(lr.mean() - 128) < 0.3


def test_picture_smaller_than_patch_is_named(pairs):
    with pytest.raises(ValueError, match=r"c\.png is 25x40 .* PATCH_SIZE = 26"):
        data.training_batches(pairs, 2, patch_size=26)


def test_validation_batches_are_equal_and_complete(pairs):
    batches = data.validation_batches(pairs, 2, patch_size=30, batch_size=2)
    lr_spec, hr_spec = batches.element_spec
    assert lr_spec.shape == (1, 25, 25, 3) and hr_spec.shape == (1, 50, 50, 3)
    for (lr, hr), (whole_lr, whole_hr) in zip(batches, pairs):
        y, x = (whole_lr.shape[0] - 25) // 2, (whole_lr.shape[1] - 25) // 2
        np.testing.assert_array_equal(lr[0], whole_lr[y : y + 25, x : x + 25])
        np.testing.assert_array_equal(
            hr[0], whole_hr[2 * y : 2 * y + 50, 2 * x : 2 * x + 50]
        )
    assert len(list(batches)) == 3


def test_whole_file_leaves_nothing_behind_on_failure(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with data.whole_file(path) as part:
        part.write_text("first")
    with pytest.raises(RuntimeError):
        with data.whole_file(path) as part:
            part.write_text("second")
            raise RuntimeError
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]
