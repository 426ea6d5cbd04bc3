"""The decoder for samples of several objects gives what each object's own decoder gives."""

import torch

from pose_estimation_ros.networks.object_decoder import ObjectDecoder
from pose_estimation_ros.networks.sample_decoder import SampleDecoder


def test_samples_of_several_objects_are_decoded_as_each_object_decodes_its_own() -> None:
    torch.manual_seed(0)
    decoder = ObjectDecoder(objects=3, width=4).double()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.normal_()
    index = torch.tensor([2, 0, 2, 1])
    maps = [torch.randn(4, 4 * part, side, side, dtype=torch.float64)
            for part, side in ((2, 20), (4, 10), (8, 5))]

    with torch.no_grad():
        decoded = SampleDecoder(decoder, side=5).double()(*maps, index)

        for row, known in enumerate(index):
            own = [feature[row:row + 1] for feature in maps]
            # The weights of interpolation are float32, and exact there.
            torch.testing.assert_close(decoded[row:row + 1], decoder(*own, known[None]),
                                       atol=1e-9, rtol=1e-9)
