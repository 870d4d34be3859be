//! Stacks and services on the time axis.

use testbed_model::event::Event;

use super::{Axis, Moment, MomentKind, Said, StackTrack, State, Track, found};

impl<'e> Axis<'e> {
    pub(super) fn take_stack(&mut self, at: u64, event: &'e Event) {
        match event {
            Event::StackStarting { stack, services } => {
                let stack = self.stack(stack);
                stack.track.change(at, Some((State::Probe, "")));
                for service in services {
                    found(&mut stack.services, service);
                }
            }
            Event::ServiceStarting { stack, service } => {
                self.service(stack, service).change(at, Some((State::Create, "")));
            }
            Event::ServiceStarted { stack, service, .. } => {
                let service = self.service(stack, service);
                let again = service.state() == Some(State::Down);
                service.change(at, Some((if again { State::Again } else { State::Probe }, "")));
            }
            Event::ProbeAnswered { stack, service, answer } => {
                let moment = Moment { at_us: at, kind: MomentKind::Probe, text: Said::Words(answer) };
                self.service(stack, service).moments.push(moment);
            }
            Event::ServiceReady { stack, service } => {
                self.service(stack, service).change(at, Some((State::Ready, "")));
            }
            Event::ServiceExited { stack, service, exit_code, oom_killed, expected } => {
                let service = self.service(stack, service);
                let kind = if *expected { MomentKind::Stopped } else { MomentKind::Died };
                service.moments.push(Moment { at_us: at, kind, text: Said::Exit(*exit_code, *oom_killed) });
                service.change(at, Some((State::Down, "")));
            }
            Event::StackReady { stack, .. } => {
                self.stack(stack).track.change(at, Some((State::Ready, "")));
            }
            Event::StackAdopted { stack, services, .. } => {
                let stack = self.stack(stack);
                stack.track.change(at, Some((State::Ready, "")));
                for service in services {
                    found(&mut stack.services, service).change(at, Some((State::Ready, "")));
                }
            }
            Event::StackFailed { stack, failure } => {
                let track = &mut self.stack(stack).track;
                let text = Said::Words(failure.service.as_deref().unwrap_or("the stack"));
                track.moments.push(Moment { at_us: at, kind: MomentKind::Failed, text });
                track.change(at, Some((State::Down, "")));
            }
            Event::StackStopping { stack } => {
                let stack = self.stack(stack);
                stack.track.change(at, Some((State::Stop, "")));
                for service in stack.services.iter_mut().filter(|service| service.open.is_some()) {
                    service.change(at, Some((State::Stop, "")));
                }
            }
            Event::StackStopped { stack, .. } => {
                let stack = self.stack(stack);
                stack.track.change(at, None);
                stack.services.iter_mut().for_each(|service| service.change(at, None));
            }
            _ => {}
        }
    }

    fn stack(&mut self, name: &'e str) -> &mut StackTrack<'e> {
        let at = self.stacks.iter().position(|stack| stack.track.name == name).unwrap_or_else(|| {
            self.stacks.push(StackTrack { track: Track::new(name), services: Vec::new() });
            self.stacks.len() - 1
        });
        &mut self.stacks[at]
    }

    fn service(&mut self, stack: &'e str, name: &'e str) -> &mut Track<'e> {
        found(&mut self.stack(stack).services, name)
    }
}
