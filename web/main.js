// The page. worker.js does the work, so that the page stays alive meanwhile.
'use strict';

const [drop, choose, status, progress, result, comparison, viewer, before, after, line,
  slider, save, zoom] = ['drop', 'choose', 'status', 'progress', 'result', 'comparison',
  'viewer', 'before', 'after', 'line', 'slider', 'save', 'zoom'].map(
  (id) => document.getElementById(id));
let worker, picture; // the file that is being enlarged, if one is

function say(sentence) {
  status.textContent = sentence;
}

function startWorker() {
  worker?.terminate();
  worker = new Worker('worker.js', { type: 'module' });
  worker.onmessage = ({ data }) => {
    if (data.error) fail(data.error);
    else if (data.blob) show(data);
    else progress.value = data.progress;
  };
  worker.onerror = () => {
    worker = undefined; // another would fail at once; the next picture tries again
    finish();
    say('The page could not load all of its files, or this browser is too old: update '
      + 'the browser, or upload the whole folder again.');
  };
}

function fail(sentence) {
  finish();
  startWorker(); // what ran out of memory may not run again
  say(sentence);
}

function finish() {
  picture = undefined;
  progress.hidden = true;
}

function enlarge(file) {
  if (!file) return;
  if (picture || !worker) startWorker(); // which drops the picture before
  picture = file;
  result.hidden = true;
  progress.hidden = false;
  progress.removeAttribute('value'); // until the first tile is done
  say(`Enlarging ${file.name} …`);
  worker.postMessage(file);
}

function show({ blob, width, height, scale, seconds, device }) {
  for (const image of [before, after]) URL.revokeObjectURL(image.src);
  before.src = URL.createObjectURL(picture);
  after.src = save.href = URL.createObjectURL(blob);
  save.download = `${picture.name.replace(/\.\w+$/, '')}_x${scale}.png`;
  comparison.style.setProperty('--width', `${width / devicePixelRatio}px`);
  comparison.style.setProperty('--ratio', width / height);
  say(`${width} × ${height} pixels, in ${seconds.toFixed(1)} s with ${device}.`);
  result.hidden = false;
  compare();
  finish();
}

// Of the part of the picture that is in view, the slider's share shows it as it was.
function compare() {
  const edge = viewer.scrollLeft + slider.value * viewer.clientWidth;
  after.style.clipPath = `inset(0 0 0 ${edge}px)`;
  line.style.left = `${slider.value * viewer.clientWidth}px`;
}

slider.oninput = viewer.onscroll = window.onresize = compare;

zoom.onclick = () => {
  const actual = comparison.classList.toggle('actual');
  zoom.textContent = actual ? 'Fit to window' : 'Actual size';
  compare();
};

choose.onchange = () => {
  enlarge(choose.files[0]);
  choose.value = ''; // so that the same file can be chosen again
};

document.ondragover = document.ondragleave = (event) => {
  event.preventDefault();
  drop.classList.toggle('over', event.type === 'dragover');
};

document.ondrop = (event) => {
  event.preventDefault();
  drop.classList.remove('over');
  if (!choose.disabled) enlarge(event.dataTransfer.files[0]);
};

if (location.protocol === 'file:') {
  choose.disabled = true;
  say('Browsers run this page from a web server only: run “python -m http.server” in '
    + 'its folder, and open localhost:8000.');
} else {
  startWorker();
}
