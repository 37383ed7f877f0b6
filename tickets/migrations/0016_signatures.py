import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0007_answerer_takes"),
        ("tickets", "0015_staffing_trials"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="message",
            name="signature",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
        migrations.CreateModel(
            name="Signature",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("text", models.TextField(max_length=2000, verbose_name="text")),
                (
                    "agent",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "brand",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tickets.brand",
                        verbose_name="brand",
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agents.team",
                        verbose_name="team",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("agent__isnull", False), ("brand__isnull", True), ("team__isnull", True)
                        )
                        | models.Q(("agent__isnull", True), ("brand__isnull", False)),
                        name="signature_of_an_agent_or_a_brand",
                    ),
                    models.UniqueConstraint(
                        fields=("brand", "team", "agent"), name="one_signature_each", nulls_distinct=False
                    ),
                    models.CheckConstraint(condition=models.Q(("text", ""), _negated=True), name="signature_has_a_text"),
                ],
            },
        ),
    ]
