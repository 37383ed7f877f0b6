from django.db import migrations, models


class Migration(migrations.Migration):
    """What a browser or an API sends twice is promised once."""

    dependencies = [
        ('tickets', '0047_promises'),
    ]

    operations = [
        migrations.AddField(
            model_name='promise',
            name='client_uuid',
            field=models.UUIDField(null=True, unique=True),
        ),
    ]
