"""The progress bar counts shards and begins where an interrupted command stopped."""

from pose_estimation_ros.cli.progress import progress_bar


def test_the_bar_shows_what_is_done_of_all(capsys):
    with progress_bar('shards') as report:
        report(3, 5)
        report(4, 5)
        report(5, 5)
    shown = capsys.readouterr().err
    assert '3/5' in shown
    assert '5/5' in shown
    assert 'shards' in shown


def test_a_command_with_nothing_to_do_ends_at_all_of_it(capsys):
    with progress_bar('shards') as report:
        report(2, 2)
    assert '2/2' in capsys.readouterr().err
