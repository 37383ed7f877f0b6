from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tickets', '0037_what_rules_have_seen'),
    ]

    operations = [
        migrations.AddField(
            model_name='draft',
            name='way',
            field=models.CharField(blank=True, db_default='', default='', max_length=41),
        ),
    ]
