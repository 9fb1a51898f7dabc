"""Rules that send errors back by other weights than those that brought the activity."""

from __future__ import annotations

from typing import ClassVar, Literal

from zoo.specs.base import NonNegative
from zoo.specs.learners.rule import GradientRuleSpec


class FeedbackAlignmentSpec(GradientRuleSpec):
    """Feedback alignment (Lillicrap et al. 2016): errors go back from layer to layer by weights of their own.

    They are normal with deviation ``scale`` / √(units that they lead to).
    """

    kind: Literal["feedback-alignment"] = "feedback-alignment"
    needs: ClassVar[str] = "layers"
    scale: NonNegative = 1.0
    """At 0 nothing comes back, and the readout is trained alone."""
    feedback: Literal["random", "learned"] = "random"
    """Constant, or changed as the weights are (Kolen & Pollack 1994; Akrout et al. 2019): both become alike
    where the optimizer has a weight decay."""


class DirectFeedbackAlignmentSpec(GradientRuleSpec):
    """Direct feedback alignment (Nøkland 2016): each layer gets the output's error by weights of its own.

    They are constant, and normal with deviation ``scale`` / √(units of the layer).
    """

    kind: Literal["direct-feedback-alignment"] = "direct-feedback-alignment"
    needs: ClassVar[str] = "layers"
    scale: NonNegative = 1.0


class AlignSpec(GradientRuleSpec):
    """Align-zero, Align-ada and Align-prop (Boopathy & Fiete 2022): errors go back through the network as it
    was at the beginning; in a recurrent network, through time."""

    kind: Literal["align"] = "align"
    needs: ClassVar[str | tuple[str, ...]] = ("layers", "local")
    variant: Literal["zero", "ada", "prop"] = "ada"
    """``zero``: weights, derivatives and activity are those of the beginning. ``ada``: the activity is
    today's. ``prop``: the derivatives too."""
