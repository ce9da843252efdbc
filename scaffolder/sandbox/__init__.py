"""A box for templates that others wrote: ``Sandbox.render(source, answers, folder)`` gives the folder or :class:`RenderRefused`,
and :class:`BoxedRenderer` what an update engine needs.

Rendering happens in a process of its own, with limits on processor time, time, memory, output and answers, with an environment
that holds no credentials, and (where Linux lets unprivileged processes have namespaces) without a network. Copier never gets
``--trust``: a template with tasks, migrations or Jinja extensions is refused. What the box does not do is hide files that the
platform's user may read: Copier's Jinja has no access to files beside the template's own, and that is what is relied on.
"""

from scaffolder.sandbox.box import Rendered, RenderRefused, Sandbox
from scaffolder.sandbox.limits import Limits
from scaffolder.sandbox.updates import BoxedRenderer

__all__ = ["BoxedRenderer", "Limits", "RenderRefused", "Rendered", "Sandbox"]
