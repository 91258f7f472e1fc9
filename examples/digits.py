"""scikit-learn's digits, 1,797 images of 8 x 8 pixels: learn from three quarters of them, and classify the others."""
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import spikingconvnet as scn

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
classifier = scn.SpikingConvClassifier().fit(X_train, y_train)
print(f"test accuracy {100 * classifier.score(X_test, y_test):.2f} %")
