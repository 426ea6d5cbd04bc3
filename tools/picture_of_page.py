"""Make a picture of an HTML page with a headless Chromium, as docs/pictures/report.jpg is made.

Usage:
    python tools/picture_of_page.py page.html picture.jpg [--width 1100] [--height 1500]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
_SECONDS = 120
_JPEG_QUALITY = 85


def find_browser() -> str | None:
    """Return the path of a Chromium, None if none is installed."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def picture_of_page(page: Path, picture: Path, width: int, height: int) -> None:
    """Open a page without network and write what can be seen of it.

    Args:
        page: HTML file.
        picture: To write, .png or .jpg.
        width: Of the window, pixels.
        height: Of the window, pixels.

    Raises:
        SystemExit: If there is no browser, or it makes no picture.
    """
    browser = find_browser()
    if browser is None:
        sys.exit('there is no Chromium on this machine; install it: apt-get install chromium')
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / 'shot.png'
        answer = subprocess.run(
            [browser, '--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars',
             '--disable-extensions', '--host-resolver-rules=MAP * ~NOTFOUND',
             f'--user-data-dir={folder}/profile', f'--window-size={width},{height}',
             f'--screenshot={shot}', page.resolve().as_uri()],
            capture_output=True, text=True, timeout=_SECONDS, check=False)
        image = cv2.imread(str(shot)) if shot.is_file() else None
    if image is None:
        sys.exit(f'{browser} makes no picture of {page}: {answer.stderr[-500:]}')
    cv2.imwrite(str(picture), image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('page', type=Path)
    parser.add_argument('picture', type=Path)
    parser.add_argument('--width', type=int, default=1100)
    parser.add_argument('--height', type=int, default=1500)
    arguments = parser.parse_args()
    picture_of_page(arguments.page, arguments.picture, arguments.width, arguments.height)


if __name__ == '__main__':
    main()
