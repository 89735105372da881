"""When has a forecast become worse? One detector watches thousands of error streams."""

from forecast.detect.adwin import ADWIN
from forecast.detect.base import Detector
from forecast.detect.kswin import KSWIN
from forecast.detect.never import Never
from forecast.detect.page_hinkley import PageHinkley
from forecast.detect.ratio import Ratio
from forecast.detect.signal import Signal

__all__ = ["ADWIN", "KSWIN", "Detector", "Never", "PageHinkley", "Ratio", "Signal"]
