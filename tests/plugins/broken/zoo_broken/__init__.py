"""Kinds that cannot be used, each for another reason."""

from zoo.registry import Kind

NO_KIND = "zoo.specs.models.recurrent:GRUSpec"
NO_SPEC = Kind("pathlib:Path", "zoo_broken.raises:Model")
OTHER_KIND = Kind("zoo.specs.models.recurrent:GRUSpec", "zoo_broken.raises:Model")
LACKS_A_LIBRARY = Kind("zoo_broken.lacks:Spec", "zoo_broken.raises:Model")
HALF = Kind("zoo_broken.half:HalfSpec", "zoo_broken.raises:Model")
