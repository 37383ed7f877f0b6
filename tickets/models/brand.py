from django.db import models
from django.utils.translation import gettext_lazy as _


class Brand(models.Model):
    """A name under which we answer. Channels and tickets carry it; customers are shared."""

    key = models.SlugField(unique=True)  # audience of signed widget identities
    name = models.CharField(_("name"), max_length=80)
    domain = models.CharField(_("mail domain"), max_length=253, blank=True, default="")  # of our Message-IDs
    accent = models.CharField(_("accent colour"), max_length=7, blank=True, default="")
    language = models.CharField(
        _("language"), max_length=2, choices=[("en", "English"), ("ko", "한국어")], default="en"
    )

    def __str__(self) -> str:
        return self.name
