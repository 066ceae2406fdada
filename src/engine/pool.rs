//! Worker threads: evaluation never runs on the async threads, has a deadline, and cannot take the server with it.
//!
//! A thread cannot be stopped from outside. When one does not come back in time its job is answered without it, it is
//! written off and replaced, and it ends by itself when it ever comes back.

use super::evaluate::Worker;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Why a job has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Too many jobs wait already.
    #[error("too many reviews are waiting")]
    Full,
    /// It was still waiting when its time was over.
    #[error("the review was still waiting for a worker when its time was over")]
    Queued,
    /// The worker did not come back in time.
    #[error("the review did not end in its time")]
    Stuck,
    /// The job panicked.
    #[error("the review panicked")]
    Panicked,
    /// The operating system gives no thread.
    #[error("no worker thread could be started")]
    NoThread,
}

/// Room for deep recursion of the engine's own code.
const STACK: usize = 16 * 1024 * 1024;

/// Jobs that may wait.
const QUEUE: usize = 2048;

/// How long after its deadline a job is waited for: it looks at the clock itself.
const GRACE: Duration = Duration::from_millis(100);

type Run = Box<dyn FnOnce(&mut Worker) + Send>;

struct Job {
    run: Run,
    /// 0 waiting, 1 running, 2 given up.
    state: Arc<AtomicUsize>,
}

const WAITING: usize = 0;
const RUNNING: usize = 1;
const GIVEN_UP: usize = 2;

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    lost: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// A fixed number of worker threads.
pub struct Pool {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("lost", &self.lost()).finish_non_exhaustive()
    }
}

impl Pool {
    /// Starts the workers.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn new(workers: usize) -> Result<Self, PoolError> {
        let shared = Arc::new(Shared { queue: Mutex::default(), wake: Condvar::new(), lost: AtomicUsize::new(0) });
        for _ in 0..workers.max(1) {
            start(&shared)?;
        }
        Ok(Self { shared })
    }

    /// Workers that did not come back so far.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Runs a job on a worker and waits for it, until shortly after the deadline.
    ///
    /// # Errors
    /// When there is no result in time.
    pub async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        job: impl FnOnce(&mut Worker) -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let (send, receive) = oneshot::channel();
        let state = Arc::new(AtomicUsize::new(WAITING));
        let run: Run = Box::new(move |worker| {
            let _ = send.send(job(worker));
        });
        {
            let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
            if queue.jobs.len() >= QUEUE {
                return Err(PoolError::Full);
            }
            queue.jobs.push_back(Job { run, state: state.clone() });
        }
        self.shared.wake.notify_one();
        match tokio::time::timeout_at((deadline + GRACE).into(), receive).await {
            Ok(result) => result.map_err(|_| PoolError::Panicked),
            Err(_) => match state.swap(GIVEN_UP, Ordering::AcqRel) {
                WAITING => Err(PoolError::Queued),
                _ => {
                    self.shared.lost.fetch_add(1, Ordering::Relaxed);
                    start(&self.shared)?;
                    Err(PoolError::Stuck)
                }
            },
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.shared.wake.notify_all();
    }
}

fn start(shared: &Arc<Shared>) -> Result<(), PoolError> {
    let shared = shared.clone();
    let builder = std::thread::Builder::new().name("evaluate".to_owned()).stack_size(STACK);
    builder.spawn(move || work(&shared)).map(drop).map_err(|_| PoolError::NoThread)
}

fn work(shared: &Shared) {
    let mut worker = Worker::new();
    loop {
        let job = {
            let mut queue = shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                if let Some(job) = queue.jobs.pop_front() {
                    break job;
                }
                if queue.closed {
                    return;
                }
                queue = shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        };
        if job.state.compare_exchange(WAITING, RUNNING, Ordering::AcqRel, Ordering::Acquire).is_err() {
            continue;
        }
        let run = job.run;
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&mut worker))).is_err() {
            worker = Worker::new();
        }
        if job.state.load(Ordering::Acquire) == GIVEN_UP {
            // replaced meanwhile
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(50)
    }

    #[tokio::test]
    async fn a_stuck_worker_is_replaced() {
        let pool = Pool::new(1).unwrap();
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let stuck = pool
            .run(soon(), move |_| {
                let _ = wait.recv();
            })
            .await;
        assert_eq!(stuck, Err(PoolError::Stuck));
        assert_eq!(pool.lost(), 1);
        assert_eq!(pool.run(Instant::now() + Duration::from_secs(5), |_| 7).await, Ok(7));
        release.send(()).unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_the_jobs_own() {
        let pool = Pool::new(1).unwrap();
        let panicked: Result<(), _> = pool.run(Instant::now() + Duration::from_secs(5), |_| panic!("on purpose")).await;
        assert_eq!(panicked, Err(PoolError::Panicked));
        assert_eq!(pool.run(Instant::now() + Duration::from_secs(5), |_| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_job_that_waits_too_long_is_given_up_and_never_run() {
        let pool = Pool::new(1).unwrap();
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let long = pool.run(Instant::now() + Duration::from_secs(5), move |_| {
            let _ = wait.recv();
        });
        let short = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let queued = pool.run(soon(), |_| panic!("must not run")).await;
            release.send(()).unwrap();
            queued
        };
        let (long, short): (_, Result<(), _>) = tokio::join!(long, short);
        assert_eq!((long, short), (Ok(()), Err(PoolError::Queued)));
        assert_eq!(pool.lost(), 0);
    }
}
