/** Two short tones, made here: no file to load. */

let context = null;

/** Resolves to whether it could be heard: browsers let no page sound before somebody has touched it. */
export async function sound() {
  if (!window.AudioContext) return false;
  context ??= new AudioContext();
  if (context.state === "suspended") await Promise.race([context.resume(), new Promise((done) => setTimeout(done, 300))]);
  if (context.state !== "running") return false;
  const now = context.currentTime;
  for (const [at, pitch] of [[0, 660], [0.14, 880]]) {
    const tone = context.createOscillator();
    const volume = context.createGain();
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.0001, now + at);
    volume.gain.exponentialRampToValueAtTime(0.12, now + at + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, now + at + 0.22);
    tone.connect(volume).connect(context.destination);
    tone.start(now + at);
    tone.stop(now + at + 0.25);
  }
  return true;
}
