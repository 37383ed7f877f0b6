from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("agents", "0008_team_turns"),
    ]

    operations = [
        migrations.AddField(
            model_name="team",
            name="needs_tag",
            field=models.BooleanField(
                db_default=False, default=False, verbose_name="a ticket needs a tag before it is solved"
            ),
        ),
    ]
