import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('agents', '0001_first'),
        ('tickets', '0001_squashed_0046_webhook_answered'),
    ]

    operations = [
        migrations.CreateModel(
            name='Survey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('solve_event_id', models.BigIntegerField(unique=True)),
                ('token', models.CharField(max_length=64, unique=True)),
                ('message_id', models.BigIntegerField(null=True)),
                ('skipped', models.CharField(blank=True, default='', max_length=40)),
                ('sent_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('expires_at', models.DateTimeField()),
                ('agent', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('channel', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.channel')),
                ('team', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.team')),
                ('ticket', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='surveys', to='tickets.ticket')),
            ],
            options={
                'indexes': [models.Index(models.F('ticket'), models.OrderBy(models.F('sent_at'), descending=True), name='survey_by_ticket'), models.Index(fields=['sent_at'], name='survey_by_sent')],
            },
        ),
        migrations.CreateModel(
            name='Answer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('score', models.PositiveSmallIntegerField()),
                ('comment', models.TextField(blank=True, default='')),
                ('answered_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('changed_at', models.DateTimeField(null=True)),
                ('survey', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='answer', to='analytics.survey')),
            ],
            options={
                'indexes': [models.Index(fields=['answered_at'], name='answer_by_time')],
                'constraints': [models.CheckConstraint(condition=models.Q(('score__range', (1, 5))), name='score_1_to_5')],
            },
        ),
    ]
