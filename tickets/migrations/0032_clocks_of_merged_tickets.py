import django.db.models.deletion
from django.db import migrations, models

class Migration(migrations.Migration):

    dependencies = [
        ('tickets', '0031_kept_forwards'),
    ]

    operations = [
        migrations.AddField(
            model_name='slaclock',
            name='carried_by',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='carries', to='tickets.slaclock'),
        ),
        migrations.AddField(
            model_name='slaclock',
            name='stands_in',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddIndex(
            model_name='slaclock',
            index=models.Index(condition=models.Q(('carried_by__isnull', False)), fields=['carried_by'], name='clock_at_rest'),
        ),
    ]
