//! Parts of networks with their gradients: on the CPU each is one pass of the workspace's kernels, on other devices
//! burn's operations.

use burn::{
    backend::{
        Autodiff, Backend, DType, Dispatch, Flex, TensorMetadata,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind, unary},
        },
        backend_extension,
        tensor::FloatTensor,
    },
    tensor::{Device, Shape, Tensor, TensorData, activation, module::conv2d, ops::ConvOptions},
};
use curate_kernels::train::{self, Pictures};

/// The exact GELU, `x Phi(x)`.
///
/// Other devices than the CPU have the gradient of its tanh approximation alone, which is 5e-4 off; there it is built
/// of the error function, whose gradient is exact.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if on_cpu(&x) {
        return Tensor::from_dispatch(<Dispatch as CpuOps>::cpu_gelu(x.into_dispatch()));
    }
    by_erf(x)
}

/// [`gelu`] by burn's operations.
fn by_erf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let erf = x.clone().mul_scalar(std::f32::consts::FRAC_1_SQRT_2).erf();
    x.mul_scalar(0.5) * erf.add_scalar(1.0)
}

/// The mean of the cross-entropies of the rows and of the columns of `n x n` logits, whose right answers are the
/// diagonal.
pub(crate) fn contrastive(logits: Tensor<2>) -> Tensor<1> {
    if on_cpu(&logits) {
        let logits = logits.into_dispatch();
        return Tensor::from_dispatch(<Dispatch as CpuOps>::cpu_contrastive(logits));
    }
    by_softmax(logits)
}

/// [`contrastive`] by burn's operations.
fn by_softmax(logits: Tensor<2>) -> Tensor<1> {
    let n = logits.dims()[0];
    let eye: Vec<f32> = (0..n * n).map(|i| f32::from(u8::from(i / n == i % n))).collect();
    let eye = Tensor::<2>::from_data(TensorData::new(eye, [n, n]), &logits.device());
    let rows = activation::log_softmax(logits.clone(), 1);
    let columns = activation::log_softmax(logits, 0);
    ((rows + columns) * eye).sum().mul_scalar(-0.5 / n as f32)
}

/// A convolution of 3 x 3 pixels that looks at every second pixel, with a rim of zeros, and then GELU: pictures of
/// `n x channels x side x side` numbers become `n x outputs x halved x halved`. The weight is
/// `outputs x channels x 3 x 3`.
pub fn halving_convolution(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>) -> Tensor<4> {
    if on_cpu(&x) && x.dims()[2] == x.dims()[3] {
        return by_patches(x, weight, bias);
    }
    gelu(conv2d(x, weight, Some(bias), ConvOptions::new([2, 2], [1, 1], [1, 1], 1)))
}

/// [`halving_convolution`] as one product of all patches with the weight. In memory the channels of a pixel lie
/// together, as the next convolution reads them.
fn by_patches(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>) -> Tensor<4> {
    let ([n, channels, side, _], [outputs, ..]) = (x.dims(), weight.dims());
    let halved = Pictures { count: n, side, channels }.halved();
    let pixels = x.permute([0, 2, 3, 1]);
    let patches = <Dispatch as CpuOps>::cpu_patches(pixels.into_dispatch());
    let weight: Tensor<2> = weight.permute([0, 2, 3, 1]).reshape([outputs, 9 * channels]);
    let found = Tensor::<2>::from_dispatch(patches).matmul(weight.transpose()) + bias.unsqueeze();
    gelu(found).reshape([n, halved, halved, outputs]).permute([0, 3, 1, 2])
}

/// Whether a tensor is of single precision on the CPU.
fn on_cpu<const D: usize>(x: &Tensor<D>) -> bool {
    x.device().without_autodiff() == Device::flex() && x.dtype() == DType::F32
}

/// The operations that the CPU has of its own.
#[backend_extension(Autodiff, Flex)]
trait CpuOps: Backend {
    fn cpu_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn cpu_contrastive(logits: FloatTensor<Self>) -> FloatTensor<Self>;
    fn cpu_patches(pixels: FloatTensor<Self>) -> FloatTensor<Self>;
}

type Cpu = FloatTensor<Flex>;

/// The numbers of a tensor, and a tensor of its shape from those that `make` writes.
fn mapped(x: &Cpu, shape: Shape, make: impl FnOnce(&[f32], &mut [f32])) -> Cpu {
    let mut out = vec![0.0; shape.num_elements()];
    make(numbers_of(&x.to_contiguous()), &mut out);
    Cpu::from_data(TensorData::new(out, shape))
}

/// The numbers of a tensor that lie side by side.
fn numbers_of(x: &Cpu) -> &[f32] {
    x.as_slice().expect("single precision, side by side")
}

/// The numbers of a tensor, to write to.
fn owned(x: Cpu) -> (Vec<f32>, Shape) {
    let shape = x.shape();
    let numbers = x.to_contiguous().into_data().try_into_vec().expect("single precision");
    (numbers, shape)
}

/// Pictures of `n x side x side x channels`.
fn pictures(x: &Cpu) -> Pictures {
    let shape = x.shape();
    Pictures { count: shape[0], side: shape[1], channels: shape[3] }
}

impl CpuOps for Flex {
    fn cpu_gelu(x: Cpu) -> Cpu {
        mapped(&x, x.shape(), train::gelu)
    }

    fn cpu_contrastive(logits: Cpu) -> Cpu {
        loss_and_gradient(&logits).0
    }

    fn cpu_patches(pixels: Cpu) -> Cpu {
        let of = pictures(&pixels);
        let width = 9 * of.channels;
        let shape = Shape::from([of.of_patches() / width.max(1), width]);
        let patches = train::patches(numbers_of(&pixels.to_contiguous()), of);
        Cpu::from_data(TensorData::new(patches, shape))
    }
}

fn loss_and_gradient(logits: &Cpu) -> (Cpu, Cpu) {
    let (shape, mut loss) = (logits.shape(), 0.0);
    let n = shape[0];
    let gradient = mapped(logits, shape, |logits, out| loss = train::contrastive(logits, n, out));
    (Cpu::from_data(TensorData::from([loss as f32])), gradient)
}

#[derive(Debug)]
struct Gelu;

impl Backward<Flex, 1> for Gelu {
    type State = Cpu;

    fn backward(self, ops: Ops<Cpu, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        unary::<Flex, _>(ops.parents, ops.node, gradients, |gradient| {
            let (mut gradient, shape) = owned(gradient);
            train::gelu_backward(numbers_of(&ops.state.to_contiguous()), &mut gradient);
            Cpu::from_data(TensorData::new(gradient, shape))
        });
    }
}

#[derive(Debug)]
struct Contrastive;

impl Backward<Flex, 1> for Contrastive {
    /// The derivative by every logit.
    type State = Cpu;

    fn backward(self, ops: Ops<Cpu, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        unary::<Flex, _>(ops.parents, ops.node, gradients, |gradient| {
            let (of_loss, _) = owned(gradient);
            let (mut slopes, shape) = owned(ops.state);
            if of_loss != [1.0] {
                slopes.iter_mut().for_each(|slope| *slope *= of_loss[0]);
            }
            Cpu::from_data(TensorData::new(slopes, shape))
        });
    }
}

#[derive(Debug)]
struct Patches;

impl Backward<Flex, 1> for Patches {
    type State = Pictures;

    fn backward(self, ops: Ops<Pictures, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let of = ops.state;
        unary::<Flex, _>(ops.parents, ops.node, gradients, |gradient| {
            let shape = Shape::from([of.count, of.side, of.side, of.channels]);
            let back = train::patches_backward(numbers_of(&gradient.to_contiguous()), of);
            Cpu::from_data(TensorData::new(back, shape))
        });
    }
}

impl<C: CheckpointStrategy> CpuOps for Autodiff<Flex, C> {
    fn cpu_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        match Gelu.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(x.clone(), Flex::cpu_gelu(x)),
            OpsKind::UnTracked(prep) => prep.finish(Flex::cpu_gelu(x)),
        }
    }

    fn cpu_contrastive(logits: FloatTensor<Self>) -> FloatTensor<Self> {
        let (logits, node) = logits.into_parts();
        let (loss, gradient) = loss_and_gradient(&logits);
        match Contrastive.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(gradient, loss),
            OpsKind::UnTracked(prep) => prep.finish(loss),
        }
    }

    fn cpu_patches(pixels: FloatTensor<Self>) -> FloatTensor<Self> {
        let (pixels, node) = pixels.into_parts();
        let of = pictures(&pixels);
        match Patches.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(of, Flex::cpu_patches(pixels)),
            OpsKind::UnTracked(prep) => prep.finish(Flex::cpu_patches(pixels)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table<const D: usize>(shape: [usize; D], salt: f32) -> Tensor<D> {
        let count = shape.iter().product();
        let numbers: Vec<f32> = (0..count).map(|i| (i as f32 * 0.7 + salt).sin() * 2.0).collect();
        let device = Device::flex().autodiff();
        Tensor::from_data(TensorData::new(numbers, shape), &device).require_grad()
    }

    fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    fn assert_close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-5 * expected.abs().max(1.0),
                "{found} {expected}"
            );
        }
    }

    /// Answers, and gradients by every input, of two forms of one operation.
    fn assert_alike<const D: usize, const E: usize>(
        inputs: &[Tensor<D>],
        ours: impl Fn(&[Tensor<D>]) -> Tensor<E>,
        burns: impl Fn(&[Tensor<D>]) -> Tensor<E>,
    ) {
        let of = |op: &dyn Fn(&[Tensor<D>]) -> Tensor<E>| -> Vec<Vec<f32>> {
            let out = op(inputs);
            // Every answer counts differently.
            let shape = out.dims();
            let gradients = (out.clone() * table(shape, 0.3).detach()).sum().backward();
            let slopes = inputs.iter().map(|x| numbers(x.grad(&gradients).unwrap()));
            std::iter::once(numbers(out)).chain(slopes).collect()
        };
        let (ours, burns) = (of(&ours), of(&burns));
        ours.iter().zip(&burns).for_each(|(ours, burns)| assert_close(ours, burns));
    }

    #[test]
    fn gelu_and_the_contrastive_loss_are_those_of_burns_operations() {
        let x = [table([9, 7], 0.1)];
        assert_alike(&x, |x| gelu(x[0].clone()), |x| by_erf(x[0].clone()));
        let transposed = |x: &[Tensor<2>]| x[0].clone().transpose();
        assert_alike(&x, |x| gelu(transposed(x)), |x| by_erf(transposed(x)));
        // Other devices than the CPU use the second.
        assert_alike(&x, |x| by_erf(x[0].clone()), |x| activation::gelu(x[0].clone()));
        let at_2 = Tensor::<1>::from_data([2.0_f32], &Device::flex().autodiff()).require_grad();
        let slope = at_2.grad(&gelu(at_2.clone()).sum().backward()).unwrap();
        let slope = slope.into_scalar::<f32>();
        // cdf(2) + 2 pdf(2); that of the tanh approximation is 1.0861.
        assert!((slope - 1.085_232).abs() < 2e-6, "{slope}");
        let logits = [table([6, 6], 0.5)];
        assert_alike(&logits, |x| contrastive(x[0].clone()), |x| by_softmax(x[0].clone()));
        let untracked = table([6, 6], 0.5).detach();
        let expected = numbers(by_softmax(untracked.clone()));
        assert_close(&numbers(contrastive(untracked)), &expected);
    }

    #[test]
    fn the_convolution_is_burns() {
        for side in [1, 4, 7] {
            let inputs = [table([2, 3, side, side], 0.2), table([5, 3, 3, 3], 0.9)];
            let bias = || table([5], 0.4);
            let options = ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
            assert_alike(
                &inputs,
                |x| halving_convolution(x[0].clone(), x[1].clone(), bias()),
                |x| by_erf(conv2d(x[0].clone(), x[1].clone(), Some(bias()), options.clone())),
            );
        }
    }
}
