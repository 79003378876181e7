// An independent forward pass in double precision.
//
// It reads llama2.c checkpoints directly, in their own layout and with their own RoPE pairs
// (2i, 2i + 1), and shares nothing with the engine: not the importer, not the file, not the tiles,
// not the sines. It may use libm, because it is compared with a bound.
#ifndef TVL_TESTS_ACCURACY_LLAMA2C_ORACLE_H_
#define TVL_TESTS_ACCURACY_LLAMA2C_ORACLE_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

namespace tvl::testing {

// llama2.c's model (run.c), with every intermediate a double.
class Llama2cOracle {
 public:
  explicit Llama2cOracle(const std::byte* checkpoint) {
    int32_t h[7];
    std::memcpy(h, checkpoint, sizeof(h));
    dim_ = h[0], hidden_ = h[1], layers_ = h[2], heads_ = h[3], kv_heads_ = h[4],
    vocab_ = std::abs(h[5]);
    head_size_ = dim_ / heads_;
    kv_dim_ = kv_heads_ * head_size_;
    const float* at = reinterpret_cast<const float*>(checkpoint + sizeof(h));
    const auto take = [&](size_t floats) { return std::exchange(at, at + floats); };
    embedding_ = take(vocab_ * dim_);
    rms_att_ = take(layers_ * dim_);
    wq_ = take(layers_ * dim_ * dim_);
    wk_ = take(layers_ * kv_dim_ * dim_);
    wv_ = take(layers_ * kv_dim_ * dim_);
    wo_ = take(layers_ * dim_ * dim_);
    rms_ffn_ = take(layers_ * dim_);
    w1_ = take(layers_ * hidden_ * dim_);
    w2_ = take(layers_ * dim_ * hidden_);
    w3_ = take(layers_ * hidden_ * dim_);
    rms_final_ = take(dim_);
    take(static_cast<size_t>(h[6]) * head_size_);  // tables of cosines and sines
    classifier_ = h[5] > 0 ? embedding_ : at;
    keys_.resize(layers_);
    values_.resize(layers_);
  }

  // The logits (vocab) after one more token.
  std::vector<double> Step(size_t token) {
    std::vector<double> x(embedding_ + token * dim_, embedding_ + (token + 1) * dim_);
    for (size_t l = 0; l < layers_; ++l) {
      Accumulate(&x, Attention(l, RmsNorm(x, rms_att_ + l * dim_)));
      Accumulate(&x, FeedForward(l, RmsNorm(x, rms_ffn_ + l * dim_)));
    }
    ++position_;
    return Product(classifier_, vocab_, RmsNorm(x, rms_final_));
  }

 private:
  using Vector = std::vector<double>;

  static void Accumulate(Vector* x, const Vector& delta) {
    for (size_t i = 0; i < x->size(); ++i) (*x)[i] += delta[i];
  }

  static Vector Product(const float* w, size_t rows, const Vector& x) {
    Vector y(rows);
    for (size_t r = 0; r < rows; ++r) {
      for (size_t k = 0; k < x.size(); ++k) y[r] += static_cast<double>(w[r * x.size() + k]) * x[k];
    }
    return y;
  }

  static Vector RmsNorm(const Vector& x, const float* weight) {
    double squares = 0;
    for (const double v : x) squares += v * v;
    const double scale =
        1 / std::sqrt(squares / static_cast<double>(x.size()) + static_cast<double>(1e-5f));
    Vector y(x.size());
    for (size_t i = 0; i < x.size(); ++i) y[i] = static_cast<double>(weight[i]) * (x[i] * scale);
    return y;
  }

  // Turns the pairs (2i, 2i + 1) of every head.
  void Rotate(Vector* v) const {
    for (size_t i = 0; i < v->size(); i += 2) {
      const double in_head = static_cast<double>(i % head_size_);
      const double angle = static_cast<double>(position_) *
                           std::pow(10000.0, -in_head / static_cast<double>(head_size_));
      const double a = (*v)[i], b = (*v)[i + 1];
      (*v)[i] = a * std::cos(angle) - b * std::sin(angle);
      (*v)[i + 1] = a * std::sin(angle) + b * std::cos(angle);
    }
  }

  Vector Attention(size_t l, const Vector& x) {
    Vector q = Product(wq_ + l * dim_ * dim_, dim_, x);
    Vector k = Product(wk_ + l * kv_dim_ * dim_, kv_dim_, x);
    Rotate(&q);
    Rotate(&k);
    keys_[l].push_back(std::move(k));
    values_[l].push_back(Product(wv_ + l * kv_dim_ * dim_, kv_dim_, x));
    Vector out(dim_);
    for (size_t h = 0; h < heads_; ++h) {
      const size_t kv = h / (heads_ / kv_heads_) * head_size_;
      Vector scores;
      for (const Vector& key : keys_[l]) {
        double score = 0;
        for (size_t i = 0; i < head_size_; ++i) score += q[h * head_size_ + i] * key[kv + i];
        scores.push_back(score / std::sqrt(static_cast<double>(head_size_)));
      }
      const double max = *std::max_element(scores.begin(), scores.end());
      double sum = 0;
      for (double& s : scores) sum += s = std::exp(s - max);
      for (size_t t = 0; t < scores.size(); ++t) {
        for (size_t i = 0; i < head_size_; ++i)
          out[h * head_size_ + i] += scores[t] / sum * values_[l][t][kv + i];
      }
    }
    return Product(wo_ + l * dim_ * dim_, dim_, out);
  }

  Vector FeedForward(size_t l, const Vector& x) const {
    Vector gate = Product(w1_ + l * hidden_ * dim_, hidden_, x);
    const Vector up = Product(w3_ + l * hidden_ * dim_, hidden_, x);
    for (size_t i = 0; i < hidden_; ++i) gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
    return Product(w2_ + l * dim_ * hidden_, dim_, gate);
  }

  size_t dim_, hidden_, layers_, heads_, kv_heads_, vocab_, head_size_, kv_dim_, position_ = 0;
  const float *embedding_, *rms_att_, *wq_, *wk_, *wv_, *wo_, *rms_ffn_, *w1_, *w2_, *w3_,
      *rms_final_, *classifier_;
  std::vector<std::vector<Vector>> keys_, values_;  // [layer][position]
};

}  // namespace tvl::testing

#endif  // TVL_TESTS_ACCURACY_LLAMA2C_ORACLE_H_
