//! Parts of networks with their gradients: on the CPU each is one pass of the workspace's kernels, on other devices
//! burn's operations.

mod cpu;

use burn::{
    backend::{DType, Dispatch},
    tensor::{
        Device, Tensor, TensorData, activation,
        module::{self, conv2d},
        ops::ConvOptions,
    },
};
use cpu::CpuOps;
use curate_kernels::train::{Pictures, Sequences};

/// `x W^T + bias`: rows of `n x inputs` numbers become `n x outputs`. The weight is `outputs x inputs`, the
/// bias one row.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<2>) -> Tensor<2> {
    if on_cpu(&x) && x.dims()[0] > 0 {
        let [x, weight, bias] = [x, weight, bias].map(Tensor::into_dispatch);
        return Tensor::from_dispatch(<Dispatch as CpuOps>::cpu_linear(x, weight, bias));
    }
    x.matmul(weight.transpose()) + bias
}

/// LayerNorm of each row: mean 0 and variance 1 (biased, plus 1e-5), then weight and bias, one row each.
pub(crate) fn layer_norm(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<2>) -> Tensor<2> {
    if on_cpu(&x) && x.dims()[0] > 0 {
        let [x, weight, bias] = [x, weight, bias].map(Tensor::into_dispatch);
        return Tensor::from_dispatch(<Dispatch as CpuOps>::cpu_layer_norm(x, weight, bias));
    }
    norm_by_burn(x, weight, bias)
}

/// [`layer_norm`] by burn's operation.
fn norm_by_burn(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<2>) -> Tensor<2> {
    let width = weight.dims()[1];
    module::layer_norm(x, weight.reshape([width]), Some(bias.reshape([width])), 1e-5)
}

/// Softmax attention among the tokens of each sequence, before its last product: rows of a token become rows
/// of as many numbers. The weight's rows, and the bias's numbers, are those of queries, keys and values, one
/// after the other.
pub(crate) fn attention(
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<2>,
    of: Sequences,
) -> Tensor<2> {
    if on_cpu(&x) && x.dims()[0] > 0 {
        let qkv = linear(x, weight, bias).into_dispatch();
        return Tensor::from_dispatch(<Dispatch as CpuOps>::cpu_attention(qkv, of));
    }
    attention_by_burn(x, weight, bias, of)
}

/// [`attention`] by burn's operations. Query, key and value are three products with parts of one weight:
/// cutting the weight, and its gradient, is cheaper than cutting one wide product of all tokens.
fn attention_by_burn(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<2>, of: Sequences) -> Tensor<2> {
    let Sequences { tokens, width, heads, causal } = of;
    let (rows, head) = (x.dims()[0], width / heads);
    let part = |i: usize| -> Tensor<4> {
        let columns = i * width..(i + 1) * width;
        let weight = weight.clone().slice([columns.clone(), 0..width]);
        let bias = bias.clone().slice([0..1, columns]);
        let part = x.clone().matmul(weight.transpose()) + bias;
        part.reshape([rows / tokens, tokens, heads, head]).swap_dims(1, 2)
    };
    let (q, k, v) = (part(0), part(1), part(2));
    let scores = q.matmul(k.swap_dims(2, 3)).mul_scalar((head as f32).sqrt().recip());
    let scores = if causal { scores + hidden(tokens, &x.device()) } else { scores };
    let mixed = activation::softmax(scores, 3).matmul(v);
    mixed.swap_dims(1, 2).reshape([rows, width])
}

/// 0 for tokens that a token sees, minus infinity for those behind it.
fn hidden(tokens: usize, device: &Device) -> Tensor<4> {
    let behind = |i: usize| i % tokens > i / tokens;
    let numbers: Vec<f32> =
        (0..tokens * tokens).map(|i| if behind(i) { f32::NEG_INFINITY } else { 0.0 }).collect();
    Tensor::from_data(TensorData::new(numbers, [1, 1, tokens, tokens]), device)
}

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
    let found = linear(Tensor::from_dispatch(patches), weight, bias.unsqueeze());
    gelu(found).reshape([n, halved, halved, outputs]).permute([0, 3, 1, 2])
}

/// The sum of all squares; on the CPU in double precision, and without a table of them.
pub(crate) fn sum_of_squares(x: Tensor<2>) -> Tensor<1> {
    if on_cpu(&x) {
        return Tensor::from_dispatch(<Dispatch as CpuOps>::cpu_squares(x.into_dispatch()));
    }
    x.square().sum()
}

/// Whether a tensor is of single precision on the CPU.
fn on_cpu<const D: usize>(x: &Tensor<D>) -> bool {
    x.device().without_autodiff() == Device::flex() && x.dtype() == DType::F32
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

    /// Within 1e-5 of the largest: sums that cancel have the errors of their terms.
    fn assert_close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        let largest = expected.iter().fold(1.0, |largest: f32, x| largest.max(x.abs()));
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5 * largest, "{found} {expected} of {largest}");
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
    fn layers_norms_and_attention_are_burns() {
        let three = |rows: usize| [[rows, 12], [36, 12], [1, 36]].map(|shape| table(shape, 0.2));
        assert_alike(
            &three(20),
            |x| linear(x[0].clone(), x[1].clone(), x[2].clone()),
            |x| x[0].clone().matmul(x[1].clone().transpose()) + x[2].clone(),
        );
        let transposed = [table([12, 7], 0.1), table([5, 12], 0.6), table([1, 5], 0.4)];
        assert_alike(
            &transposed,
            |x| linear(x[0].clone().transpose(), x[1].clone(), x[2].clone()),
            |x| x[0].clone().transpose().matmul(x[1].clone().transpose()) + x[2].clone(),
        );
        let norm = [table([9, 7], 0.1), table([1, 7], 0.6), table([1, 7], 0.4)];
        assert_alike(
            &norm,
            |x| layer_norm(x[0].clone(), x[1].clone(), x[2].clone()),
            |x| norm_by_burn(x[0].clone(), x[1].clone(), x[2].clone()),
        );
        for causal in [false, true] {
            let of = Sequences { tokens: 5, width: 12, heads: 3, causal };
            // Scores of some units: of hundreds, the last bits would decide who is attended to.
            let small = |x: &Tensor<2>| x.clone().mul_scalar(0.1);
            assert_alike(
                &three(20),
                |x| attention(x[0].clone(), small(&x[1]), x[2].clone(), of),
                |x| attention_by_burn(x[0].clone(), small(&x[1]), x[2].clone(), of),
            );
        }
    }

    #[test]
    fn squares_are_summed_with_their_gradient() {
        let x = [table([90, 70], 0.3)];
        assert_alike(&x, |x| sum_of_squares(x[0].clone()), |x| x[0].clone().square().sum());
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
