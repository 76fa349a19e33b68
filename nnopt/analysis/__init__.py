"""What can be seen in a run: curvature, quadratic models, landscapes, plateaus, symmetry, noise, what theory predicts.

| topic | names |
|---|---|
| curvature | `spectrum_at` `spectrum` `extreme_spectrum` `eigenpairs` `spectral_density` `trace` `hessian_of` |
| | `newton_step` `newton_step_at` `hessian_cost` `measured_hessian` |
| sharpness | `sharpness` `sharpness_along` `SharpnessTracker` |
| quadratic model | `quadratic_model` `trust_region_mask` |
| directions | `Context` `direction` `plane` `plane_through` `random_direction` `principal_components` `trajectory` |
| losses on them | `Slice` `Plane` `axes` `grid` `progressive_grid` `refine` `values_at` `slice_values` `losses` |
| | `project_path` |
| convexity | `convexity_map` `convexity_of_grid` `slice_curvature` `not_convex` |
| symmetry | `permute_units` `swap_units` `flip_units` `Symmetry` `random_symmetry` `equivalent_solutions` `align` |
| paths | `Path` `straight_path` `aligned_path` `losses_along` `connect` |
| restarts | `restart` `train_together` `clusters` `histogram` `differences` `votes` `disagreement` |
| | `disagreement_map` |
| noise | `gradient_noise` `measure_noise` `epoch_times` |
| a run | `explain` `find_plateaus` `PlateauDetector` `plateaus_of` `PlateauTracker` |
| theory | `theory`: predictions to lay over all of these |

An objective is anything with `value` and `gradient` or `value_and_gradient`: a network with its data, a function, a
class of yours. Curvature comes from `hvp` or `hessian` where there is one, else from differences of gradients.

>>> import nnopt
>>> f = nnopt.functions.get("himmelblau")
>>> nnopt.analysis.spectrum_at(f, [3.0, 2.0]).verdict
'positive definite: both curvatures are positive, condition number 3.2, a bowl'
>>> flat = nnopt.analysis.plane("gradient", "newton", nnopt.analysis.Context(f, [1.0, 1.0]))
>>> nnopt.analysis.grid(f, flat, extent=2.0, n=5).shape
(5, 5)
>>> limit = nnopt.analysis.theory.stable_rate(nnopt.analysis.sharpness(f, [3.0, 2.0]).value)
>>> round(limit, 4)  # gradient descent converges to this minimum below it
0.0243

Names are imported when they are first used, so that `import nnopt` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nnopt.errors import no_attribute

if TYPE_CHECKING:
    from nnopt.analysis import theory as theory
    from nnopt.analysis.alignment import align as align
    from nnopt.analysis.convexity import convexity_map as convexity_map
    from nnopt.analysis.convexity import convexity_of_grid as convexity_of_grid
    from nnopt.analysis.convexity import not_convex as not_convex
    from nnopt.analysis.convexity import slice_curvature as slice_curvature
    from nnopt.analysis.cost import hessian_cost as hessian_cost
    from nnopt.analysis.cost import measured_hessian as measured_hessian
    from nnopt.analysis.curvature import extreme_spectrum as extreme_spectrum
    from nnopt.analysis.curvature import hessian_of as hessian_of
    from nnopt.analysis.curvature import newton_step as newton_step
    from nnopt.analysis.curvature import newton_step_at as newton_step_at
    from nnopt.analysis.curvature import spectrum as spectrum
    from nnopt.analysis.curvature import spectrum_at as spectrum_at
    from nnopt.analysis.directions import Context as Context
    from nnopt.analysis.directions import direction as direction
    from nnopt.analysis.directions import plane as plane
    from nnopt.analysis.directions import principal_components as principal_components
    from nnopt.analysis.directions import random_direction as random_direction
    from nnopt.analysis.directions import trajectory as trajectory
    from nnopt.analysis.explanation import explain as explain
    from nnopt.analysis.lanczos import eigenpairs as eigenpairs
    from nnopt.analysis.landscape import axes as axes
    from nnopt.analysis.landscape import grid as grid
    from nnopt.analysis.landscape import losses as losses
    from nnopt.analysis.landscape import progressive_grid as progressive_grid
    from nnopt.analysis.landscape import project_path as project_path
    from nnopt.analysis.landscape import refine as refine
    from nnopt.analysis.landscape import slice_values as slice_values
    from nnopt.analysis.landscape import values_at as values_at
    from nnopt.analysis.noise import epoch_times as epoch_times
    from nnopt.analysis.noise import gradient_noise as gradient_noise
    from nnopt.analysis.noise import measure_noise as measure_noise
    from nnopt.analysis.paths import Path as Path
    from nnopt.analysis.paths import aligned_path as aligned_path
    from nnopt.analysis.paths import connect as connect
    from nnopt.analysis.paths import losses_along as losses_along
    from nnopt.analysis.paths import straight_path as straight_path
    from nnopt.analysis.planes import Plane as Plane
    from nnopt.analysis.planes import Slice as Slice
    from nnopt.analysis.planes import plane_through as plane_through
    from nnopt.analysis.plateau_tracker import PlateauTracker as PlateauTracker
    from nnopt.analysis.plateau_tracker import plateaus_of as plateaus_of
    from nnopt.analysis.plateaus import PlateauDetector as PlateauDetector
    from nnopt.analysis.plateaus import find_plateaus as find_plateaus
    from nnopt.analysis.restarts import restart as restart
    from nnopt.analysis.solutions import clusters as clusters
    from nnopt.analysis.solutions import differences as differences
    from nnopt.analysis.solutions import disagreement as disagreement
    from nnopt.analysis.solutions import disagreement_map as disagreement_map
    from nnopt.analysis.solutions import histogram as histogram
    from nnopt.analysis.solutions import votes as votes
    from nnopt.analysis.spectral import spectral_density as spectral_density
    from nnopt.analysis.spectral import trace as trace
    from nnopt.analysis.stability import SharpnessTracker as SharpnessTracker
    from nnopt.analysis.stability import sharpness as sharpness
    from nnopt.analysis.stability import sharpness_along as sharpness_along
    from nnopt.analysis.symmetry import Symmetry as Symmetry
    from nnopt.analysis.symmetry import equivalent_solutions as equivalent_solutions
    from nnopt.analysis.symmetry import flip_units as flip_units
    from nnopt.analysis.symmetry import permute_units as permute_units
    from nnopt.analysis.symmetry import random_symmetry as random_symmetry
    from nnopt.analysis.symmetry import swap_units as swap_units
    from nnopt.analysis.taylor import quadratic_model as quadratic_model
    from nnopt.analysis.taylor import trust_region_mask as trust_region_mask
    from nnopt.analysis.together import train_together as train_together

#: room of this package -> names that can be had from here
_ROOMS = {
    "curvature": ("spectrum_at", "spectrum", "extreme_spectrum", "hessian_of", "newton_step", "newton_step_at"),
    "lanczos": ("eigenpairs",),
    "spectral": ("spectral_density", "trace"),
    "cost": ("hessian_cost", "measured_hessian"),
    "stability": ("sharpness", "sharpness_along", "SharpnessTracker"),
    "taylor": ("quadratic_model", "trust_region_mask"),
    "directions": ("Context", "direction", "plane", "random_direction", "principal_components", "trajectory"),
    "planes": ("Slice", "Plane", "plane_through"),
    "landscape": (
        "axes", "grid", "progressive_grid", "refine", "values_at", "slice_values", "losses", "project_path",
    ),
    "convexity": ("convexity_map", "convexity_of_grid", "slice_curvature", "not_convex"),
    "symmetry": (
        "permute_units", "swap_units", "flip_units", "Symmetry", "random_symmetry", "equivalent_solutions",
    ),
    "alignment": ("align",),
    "paths": ("Path", "straight_path", "aligned_path", "losses_along", "connect"),
    "restarts": ("restart",),
    "together": ("train_together",),
    "solutions": ("votes", "disagreement", "disagreement_map", "differences", "clusters", "histogram"),
    "noise": ("gradient_noise", "measure_noise", "epoch_times"),
    "explanation": ("explain",),
    "plateau_tracker": ("plateaus_of", "PlateauTracker"),
    "plateaus": ("find_plateaus", "PlateauDetector"),
}  # fmt: skip
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [*_HOMES, "theory"]


def __getattr__(name: str) -> Any:
    if name == "theory":
        return importlib.import_module("nnopt.analysis.theory")
    if name not in _HOMES:
        raise no_attribute(__name__, name, __dir__())
    value = getattr(importlib.import_module(f"nnopt.analysis.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
